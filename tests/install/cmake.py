#!/usr/bin/env python3
"""Installs into an empty tree, and builds and runs the programs of cmake/CMakeLists.txt against it.

    cmake.py BUILD-FOLDER
"""

import sys
from pathlib import Path

import tree

BUILD = Path(sys.argv[1]).resolve()


def main(scratch):
    tree.need("cmake")
    prefix, libraries = tree.install(BUILD, scratch / "root")
    build = scratch / "build"
    tree.done("cmake", "-G", "Ninja", "-S", tree.HERE / "cmake", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
              "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--as-needed",
              f"-Dcutback_DIR={libraries / 'cmake' / 'cutback'}")
    tree.done("cmake", "--build", build)
    programs = sorted(p for p in build.iterdir() if p.name.startswith(("arena-", "malloc-")))
    for program in programs:
        wrong = tree.use(program)
        shared = "libcutback" in tree.done("readelf", "-d", program)
        if wrong or shared != (program.name.endswith(("shared", "lto"))):
            tree.fail(f"{program.name}: {'needs a library of cutback; ' if shared else ''}{wrong}")
    if (build / "preload").read_text() != str(libraries / "libcutback_preload.so"):
        tree.fail("cutback::preload is elsewhere")
    if len(programs) != 16:
        tree.fail(f"there are {len(programs)} programs, not 16")


tree.main(main)
