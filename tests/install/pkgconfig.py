#!/usr/bin/env python3
"""Installs into an empty tree, looks whether everything is there, and builds and runs programs by pkg-config.

    pkgconfig.py SOURCE-FOLDER BUILD-FOLDER

The arena and malloc, in C and C++, against the shared library, the archive, and fully static; position-independent or
not, with link-time optimisation or not. No program is told a link option but those that pkg-config gives.
"""

import itertools
import sys
from fnmatch import fnmatch
from pathlib import Path

import tree

SOURCE, BUILD = (Path(a).resolve() for a in sys.argv[1:3])
FILES = """
    include/cutback.h include/cutback_chain.h include/cutback_util.h include/cutback.hpp
    LIB/libcutback.so LIB/libcutback.so.0 LIB/libcutback.a LIB/libcutback_malloc.so LIB/libcutback_malloc.so.0
    LIB/libcutback_malloc.a LIB/libcutback_preload.so LIB/libcutback_preload_debug.so LIB/libcutback_preload_record.so
    LIB/libcutback_only.so LIB/pkgconfig/cutback.pc LIB/pkgconfig/cutback-malloc.pc LIB/pkgconfig/cutback-preload.pc
    LIB/cmake/cutback/cutback-config.cmake LIB/cmake/cutback/cutback-config-version.cmake
    bin/cutback-run bin/cutback-replay share/man/man1/cutback-run.1 share/man/man1/cutback-replay.1
    share/man/man3/cutback.3 share/man/man7/cutback.7 share/bash-completion/completions/cutback-run
    share/bash-completion/completions/cutback-replay
    libcutback_preload.so-gdb.py libcutback_preload_debug.so-gdb.py
""".split()
PIE = {"shared": (["-fPIE", "-pie"], ["-fno-pie", "-no-pie"]), "archive": (["-fPIE", "-pie"], ["-fno-pie", "-no-pie"]),
       "static": (["-fPIE", "-static-pie"], ["-fno-pie", "-static"])}
COMPILERS = {"c": ["gcc", "-std=c11", "-D_GNU_SOURCE"], "cc": ["g++", "-std=c++17"]}


def everything_is_there(prefix, libraries):
    for name in FILES:
        path = prefix / name.replace("LIB/", f"{libraries.relative_to(prefix)}/")
        if not path.exists() and not ("-gdb.py" in name and any(prefix.rglob(name))):
            tree.fail(f"{name} is not installed")
    for name, soname in {"libcutback.so": "libcutback.so.0", "libcutback_malloc.so": "libcutback_malloc.so.0",
                         "libcutback_preload.so": "libcutback_preload.so"}.items():
        dynamic = tree.done("readelf", "-dV", libraries / name)
        if f"soname: [{soname}]" not in dynamic:
            tree.fail(f"the soname of {name} is not {soname}")
        # A malloc with a version of its own would not take the place of libc's.
        if ("Version definition section" in dynamic) != (name == "libcutback.so"):
            tree.fail(f"{name}: symbols of libcutback have versions, those of malloc must have none")
    packaged = [line for file in (SOURCE / "debian").glob("*.install") for line in file.read_text().split()]
    for path in filter(Path.is_file, prefix.rglob("*")):
        name = f"usr/{path.relative_to(prefix)}"
        if libraries.name.endswith("-gnu") and not name.endswith("-gdb.py") and not any(
                fnmatch(name, pattern) or fnmatch(name, f"{pattern}/*") for pattern in packaged):
            tree.fail(f"{name} is in no package of debian/*.install")
        if any(str(folder).encode() in path.read_bytes() for folder in (SOURCE, BUILD)):
            tree.fail(f"{path.relative_to(prefix)} depends on the folder in which it was built")


def pkg_config(prefix, libraries):
    def ask(*words):
        return tree.done("pkg-config", f"--define-variable=prefix={prefix}", *words,
                         env=tree.environment(PKG_CONFIG_LIBDIR=str(libraries / "pkgconfig"))).split()
    return ask


def main(scratch):
    tree.need("pkg-config")
    prefix, libraries = tree.install(BUILD, scratch / "root")
    everything_is_there(prefix, libraries)
    ask = pkg_config(prefix, libraries)
    if ask("--variable=library", "cutback-preload") != [str(libraries / "libcutback_preload.so")]:
        tree.fail(f"cutback-preload has library={ask('--variable=library', 'cutback-preload')}")
    links = {(what, kind): flags for what, package in {"arena": "cutback", "malloc": "cutback-malloc"}.items()
             for kind, flags in {"shared": [*ask("--libs", package), f"-Wl,-rpath,{libraries}"],
                                 "archive": ask("--variable=static_libs", package),
                                 "static": ask("--static", "--libs", package)}.items()}
    cflags = ask("--cflags", "cutback")

    def compiled(case):
        what, language, pie, lto = case
        source, to = tree.HERE / f"{what}.{language}", scratch / ("-".join(map(str, case)) + ".o")
        tree.done(*COMPILERS[language], "-O2", *cflags, PIE["shared"][pie][0], *["-flto"] * lto, "-c", source, "-o", to)
        return case, to

    def linked(case):
        (what, language, pie, lto), source, kind = case
        program = source.with_suffix(f".{kind}")
        command = [COMPILERS[language][0], "-O2", *PIE[kind][pie], *["-flto"] * lto, source, "-o", program,
                   *links.get((what, kind), [])]
        built = tree.run(*command)
        wrong = built.stderr or tree.use(program)
        if kind == "nothing":
            return "malloc is another's" in (wrong or "") or tree.fail(f"{case}: without cutback: {wrong}")
        if wrong:
            tree.fail(f"{' '.join(map(str, command))}\n{wrong}")
        return True

    objects = tree.in_parallel(compiled, itertools.product(("arena", "malloc"), ("c", "cc"), (0, 1), (0, 1)))
    cases = [(*one, kind) for one in objects for kind in ("shared", "archive", "static")]
    PIE["nothing"] = PIE["shared"]
    cases += [(*one, "nothing") for one in objects if one[0][0] == "malloc"]
    tree.in_parallel(linked, cases)
    print(f"{len(cases)} programs")


tree.main(main)
