#!/usr/bin/env python3
"""The commands of gdb, on a live program and on its core file, without debug information, with names stripped or not.

    gdb.py PROGRAM LIBRARY SCRIPT LAYOUT

Skipped (exit status 77) where gdb is missing, has no python, or may not trace a process.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import demand, end, environment, skip  # noqa: E402

PROGRAM, LIBRARY, SCRIPT, LAYOUT = (Path(a).resolve() for a in sys.argv[1:5])
INSIDE = Path(__file__).resolve().parent / "inside.py"


def gdb(*words, **more):
    return subprocess.run(["gdb", "-nx", "-batch", *map(str, words)], cwd=SCRATCH, env=environment(), text=True,
                          errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120).stdout


def start(library):
    """Commands that run the program, on the library, to the place where it stops."""
    return [w for c in ("set startup-with-shell off", f"set environment LD_PRELOAD {library}", "set breakpoint pending on",
                        "break stop_here", "run addresses") for w in ("-ex", c)]


def parts(text):
    """{name: what was printed for it}"""
    return dict(re.findall(r"^== (\w+)\n(.*?)(?=^== )", text, re.M | re.S))


# The output for each, as regular expressions; A is its address.
OWN = r"of heap \d+, thread 1 \(LWP \d+\)"
EXPECTED = {
    "small": rf"^A: the start of an object of 608 bytes at A: live; {OWN}$",
    "small_inside": rf"^A: 100 bytes inside, 508 bytes before the end of, an object of 608 bytes at 0x\w+: live; {OWN}$",
    "small_before_parked": rf"^A: the start of an object of 608 bytes at A: live; {OWN}$",
    "parked": rf"^A: the start of an object of 608 bytes at A: freed, and kept for the next request of its size; {OWN}\n"
              r"  0 bytes behind the end of the live object at 0x\w+ \(608 bytes\)\n"
              r"  608 bytes before the live object at 0x\w+ \(608 bytes\)$",
    "unused": rf"^A: in memory that is next to be handed out, or was never used, {OWN}\n"
              r"  392 bytes behind the end of the live object at 0x\w+ \(608 bytes\)$",
    "small_last": rf"^A: the start of an object of 608 bytes at A: live; {OWN}$",
    "medium": rf"^A: 7 bytes inside, 7993 bytes before the end of, an object of 8000 bytes at 0x\w+: live; {OWN}$",
    "dead": rf"^A: freed memory, \d+ bytes from 0x\w+, {OWN}\n  8000 bytes behind the end of the live object at 0x\w+ \(8000 bytes\)",
    "large": r"^A: the start of an object of 1003520 bytes at A: live, large; of no heap$",
    "large_inside": r"^A: 70000 bytes inside, 933520 bytes before the end of, an object of 1003520 bytes at 0x\w+: live, large; of no heap$",
    "of_thread": r"^A: the start of an object of 208 bytes at A: live; of heap \d+, thread 2 \(LWP \d+\)$",
    "stack": r"^A: not in memory that cutback hands out$",
    "pages": r"^A: in free pages, \d[\d.]* KiB from 0x\w+$",
    "expression": rf"^0x\w+: 16 bytes inside, 592 bytes before the end of, an object of 608 bytes at 0x\w+: live; {OWN}$",
    "heaps": r"(?s)^heap  .*thread 1 \(LWP \d+\)\n.*mapped for objects: \d+ KiB$",
    "block": rf"(?s)^block 0x\w+ to 0x\w+, small objects, {OWN}\n  handed out so far: .*\n  live: \d+ objects, .*"
             r"\n  in a bin: \d+ objects?, .*\n  -> 0x\w+      608 live\n",
    "block_large": r"^error: 0x\w+ is in no block: see cutback whatis$",
    "block_stack": r"^error: 0x\w+ is not in memory that cutback hands out$",
    "no_address": r"^error: cutback whatis wants an address$",
    "nonsense": r"^error: No symbol \"no_such_variable\" in current context.$",
    "too_many": r"^error: cutback heaps takes no argument$",
}


def compare(what, text):
    found = parts(text)
    told = dict(line.split() for line in (SCRATCH / "addresses").read_text().splitlines())
    demand("== end" in text and found.keys() == EXPECTED.keys(), f"{what}: only {list(found)}:\n{text[-3000:]}")
    for name, pattern in EXPECTED.items():
        pattern = pattern.replace("A", told.get(name, "A"))
        demand(re.search(pattern, found.get(name, "").rstrip("\n") + ("\n" if pattern.endswith("\\n") else "")),
               f"{what}: {name}: {found.get(name)!r} is not {pattern}")
    demand(found.get("heaps", "").count("thread 2 (LWP") == 1, f"{what}: the other thread has no heap: {found.get('heaps')}")
    return found


def names_agree():
    """The script knows the members of the constant, in their order, and its version."""
    header, script = LAYOUT.read_text(), SCRIPT.read_text()
    members = [re.findall(rf"^    {kind}\((\w+),", header, re.M) for kind in ("ADDRESS", "NUMBER")]
    space = {}
    exec(re.search(r"^VERSION = .*?^LIVE", script, re.M | re.S)[0].removesuffix("LIVE"), space)
    demand([space["ADDRESSES"], space["NUMBERS"]] == members, f"layout.h has {members}")
    demand(f"CB_LAYOUT_VERSION {space['VERSION']}\n" in header, "the versions differ")


def live_and_core():
    words = start(LIBRARY)
    text = gdb("-x", SCRIPT, *words, "-x", INSIDE, "-ex", "generate-core-file core", "-ex", "kill", PROGRAM)
    if re.search(r"ptrace|Operation not permitted|Could not trace", text):
        skip(f"gdb may not trace a process: {text[-300:]}")
    live = compare("live", text)
    demand((SCRATCH / "core").exists(), f"no core file: {text[-500:]}")
    core = compare("core", gdb("-x", SCRIPT, "-ex", "core-file core", "-x", INSIDE, PROGRAM))
    for name in EXPECTED:
        demand(core.get(name) == live.get(name), f"the core file says {core.get(name)} of {name}, the program {live.get(name)}")


def stripped_and_loaded_by_itself():
    """Beside the library, under its name, gdb finds the script; the constant has its name in a stripped library too."""
    folder = SCRATCH / "installed"
    folder.mkdir()
    library = folder / LIBRARY.name
    subprocess.run(["strip", "--strip-unneeded", "-o", library, LIBRARY], check=True)
    shutil.copy(SCRIPT, f"{library}-gdb.py")
    text = gdb("-iex", f"add-auto-load-safe-path {folder}", *start(library), "-x", INSIDE, "-ex", "kill", PROGRAM)
    compare("stripped", text)


def before_and_without():
    text = gdb("-x", SCRIPT, "-ex", "cutback heaps", PROGRAM)
    demand("cutback is not in this program" in text, f"before it runs: {text}")
    text = gdb("-x", SCRIPT, "-ex", "cutback whatis 0", LIBRARY)
    demand("the program must have been started" in text or "has not allocated anything yet" in text, f"not started: {text}")


if shutil.which("gdb") is None:
    skip("gdb is missing")
with tempfile.TemporaryDirectory(prefix="cutback-gdb-") as name:
    SCRATCH = Path(name)
    if "3" not in gdb("-ex", "python print(3)"):
        skip("this gdb has no python")
    for check in (names_agree, live_and_core, stripped_and_loaded_by_itself, before_and_without):
        check()
end()
