#!/usr/bin/env python3
"""meson dist is complete; what it packs builds as a subproject, with programs that use it, and by itself, into the same
bytes as here: the libraries, and the programs of bin/.

    dist.py SOURCE-FOLDER BUILD-FOLDER CC CXX

The programs are built twice: with the archives, and with the shared libraries and link-time optimisation. Skipped
outside a repository of git. The bytes are compared if all is committed and the options are the usual ones.
"""

import json
import shutil
import sys
import tarfile
from pathlib import Path

import tree

SOURCE, BUILD = (Path(a).resolve() for a in sys.argv[1:3])
COMPILERS = {"CC": sys.argv[3], "CXX": sys.argv[4]}
USUAL = {"buildtype": "release", "debug": False, "optimization": "3", "b_lto": False, "b_ndebug": "false",
         "b_coverage": False, "c_args": [], "c_link_args": [], "default_library": "both"}

LIBRARIES = ["src/libcutback.a", "src/libcutback.so", "src/libcutback_malloc.a", "src/libcutback_malloc.so",
             "preload/libcutback_preload.so"]
PROGRAMS = ["launcher/cutback-run", "replay/cutback-replay"]


def git(*words):
    return tree.run("git", "-C", SOURCE, *words)


def unpacked(scratch):
    """The folder of the distribution; a file that is in the repository is in it."""
    tree.done("meson", "dist", "-C", BUILD, "--no-tests", "--allow-dirty", "--formats", "gztar")
    packed = max((BUILD / "meson-dist").glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    with tarfile.open(packed) as archive:
        names = {"/".join(Path(m.name).parts[1:]) for m in archive if not m.isdir()}
        archive.extractall(scratch)
    expected = set(git("ls-tree", "-r", "-z", "--name-only", "HEAD").stdout.split("\0")) - {""}
    if names != expected:
        tree.fail(f"missing in {packed.name}: {sorted(expected - names)}; not of git: {sorted(names - expected)}")
    return scratch / packed.name.removesuffix(".tar.gz")


def usual_options():
    told = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    options = {option["name"]: option["value"] for option in told}
    return all(options[name] == value for name, value in USUAL.items())


def consume(build, what, shared):
    for program in ("arena-c", "arena-cc", "malloc-c", "malloc-cc"):
        wrong = tree.use(build / program)
        if wrong or shared != ("libcutback" in tree.done("readelf", "-d", build / program)):
            tree.fail(f"{program}, {what}: {wrong or 'linked in the other way'}")


def alike(elsewhere, files):
    for file in files:
        if (elsewhere / file).read_bytes() != (BUILD / file).read_bytes():
            tree.fail(f"{file} has other bytes when it is built elsewhere")
    print(f"the same bytes: {' '.join(files)}")


def main(scratch):
    tree.need("git")
    if not (SOURCE / ".git").exists() or git("rev-parse", "HEAD").returncode != 0:
        tree.skip(f"{SOURCE} is not a repository of git: {git('rev-parse', 'HEAD').stderr}")
    project, build = scratch / "a" / "project", scratch / "built"
    shutil.copytree(tree.HERE / "subproject", project)
    for name in ("arena.c", "arena.cc", "malloc.c", "malloc.cc"):
        shutil.copy(tree.HERE / name, project)
    (project / "subprojects").mkdir()
    unpacked(scratch).rename(project / "subprojects" / "cutback")

    env = tree.environment(**COMPILERS)
    tree.done("meson", "setup", build, project, env=env)
    tree.done("ninja", "-C", build, env=env)
    consume(build, "archives", False)
    if (build / "preload").read_text() != f"{build / 'subprojects/cutback/preload/libcutback_preload.so'}\n":
        tree.fail("the dependency cutback-preload has another library")

    if git("status", "--porcelain").stdout or not usual_options():
        print("bytes are not compared: changes are not committed, or the options are not the usual ones")
    else:
        alike(build / "subprojects" / "cutback", LIBRARIES)
        elsewhere = scratch / "elsewhere"
        tree.done("meson", "setup", "-Dtests=disabled", "-Dbench=disabled", elsewhere, project / "subprojects" / "cutback",
                  env=env)
        tree.done("ninja", "-C", elsewhere, *PROGRAMS, env=env)
        alike(elsewhere, PROGRAMS)

    tree.done("meson", "configure", build, "-Dcutback:default_library=shared", "-Db_lto=true", env=env)
    programs = ["arena-c", "arena-cc", "malloc-c", "malloc-cc"]
    tree.done("ninja", "-C", build, *programs, env=env)
    consume(build, "shared libraries", True)


tree.main(main)
