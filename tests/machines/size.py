#!/usr/bin/env python3
"""The code size of the arena on a Cortex-M0 (clang -Os), for each function, in bytes; and of parts of it, as they are linked.

    size.py            a table
    size.py --check    compares it with bench/golden/arena-size.json; fails when a figure grew by more than 3 %
    size.py --update   takes the present sizes as the golden ones

They hold for one version of clang, which the golden file names: --check is skipped (exit status 77) with another one, and
without clang, lld or llvm-nm.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "bench" / "golden" / "arena-size.json"
GROWTH = 0.03
SKIP = 77
PARTS = {  # a program that calls these is so much larger for it
    "init, alloc": ["init", "alloc"],
    "alloc, free, mark, reset": ["alloc", "free", "mark_set", "reset"],
    "all": ["init", "clear", "alloc", "calloc", "free", "realloc", "mark_set", "reset", "commit", "owns", "used", "remaining",
            "get_stats"],
}


def run(*command):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, check=True).stdout


def sizes(*files):
    """{function: bytes} of what the files define."""
    found = re.findall(r"^(\w+) [Tt] [0-9a-f]+ ([0-9a-f]+)$", run("llvm-nm", "-P", "--defined-only", *files), re.M)
    return {name: int(size, 16) for name, size in found if re.match(r"cutback_|cb_", name)}


def measured():
    headers = run("clang", "-print-resource-dir").strip()
    with tempfile.TemporaryDirectory() as folder:
        def compiled(source, *more):
            name = f"{folder}/{len(more)}{source.stem}.o"
            run("clang", "--target=thumbv6m-none-eabi", "-Os", "-std=c11", "-ffreestanding", "-ffunction-sections", "-nostdinc",
                "-isystem", f"{headers}/include", f"-I{ROOT / 'src'}", *more, "-c", source, "-o", name)
            return name

        def linked(prefix, calls, *files):
            image = f"{folder}/image"
            run("ld.lld", "--gc-sections", "--entry=0", "--unresolved-symbols=ignore-all",
                *(f"--undefined={prefix}_{c}" for c in calls), *files, "-o", image)
            return sum(sizes(image).values())

        objects = [compiled(source) for source in sorted((ROOT / "src" / "arena").glob("*.c"))]
        minimal = compiled(ROOT / "src" / "arena" / "minimal.c", "-DCUTBACK_MINIMAL", "-DCUTBACK_SCOPES=8")
        parts = {name: linked("cutback", calls, *objects) for name, calls in PARTS.items()}
        for name in list(PARTS)[:-1]:  # "all" has what the minimal arena has not
            parts["minimal: " + name] = linked("cutback_minimal_8", PARTS[name], minimal)
        return {**parts, **dict(sorted(sizes(*objects).items()))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    for needed in ("clang", "ld.lld", "llvm-nm"):
        if not shutil.which(needed):
            print(f"skipped: no {needed}")
            return SKIP
    compiler = "clang-" + re.search(r"version (\d+)", run("clang", "--version"))[1]
    golden = json.loads(GOLDEN.read_text()) if args.check else {"compiler": compiler}
    if golden["compiler"] != compiler:
        print(f"skipped: the golden sizes are for {golden['compiler']}, not for {compiler}")
        return SKIP
    now = measured()
    if args.update:
        GOLDEN.write_text(json.dumps({"compiler": compiler, "target": "thumbv6m-none-eabi", "bytes": now}, indent=2) + "\n")
    failed = False
    for name, size in now.items():
        before = golden["bytes"].get(name, size) if args.check else size  # a new function shows in the parts
        grown = size > before * (1 + GROWTH)
        failed |= grown
        print(f"{name:<35}{size:>6}" + (f"   golden {before}: MORE THAN 3 % MORE" if grown else ""))
    return 1 if failed else 0


sys.exit(main())
