#!/usr/bin/env python3
"""The statistics of the preload library: what they say, when, and where.

    stats.py PROGRAM LIBRARY DEBUG-LIBRARY SCHEMA

Every document of JSON that is printed is checked against the schema and for what its figures must have to do with each
other. In a quiet process the text, the JSON, mallinfo2 and malloc_info agree to the byte.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

import schema

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import demand, end, environment  # noqa: E402

PROGRAM, LIBRARY, DEBUG = (str(Path(a).resolve()) for a in sys.argv[1:4])
SCHEMA = json.loads(Path(sys.argv[4]).read_text())


def run(options, *words, library=LIBRARY, status=0, **more):
    """Runs the program; returns what it wrote to standard output and error."""
    done = subprocess.run([PROGRAM, *map(str, words)], env=environment(LD_PRELOAD=library, CUTBACK_OPTIONS=options),
                          cwd=SCRATCH, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=150, **more)
    demand(done.returncode == status, f"{options}: {words}: status {done.returncode}, not {status}\n{done.stderr[-2000:]}")
    return done.stdout, done.stderr


def document(line):
    """A document, checked."""
    found = json.loads(line)
    for fault in schema.faults(SCHEMA, found):
        demand(False, f"{fault} in {line}")
    memory, objects, sizes = found["memory"], found["objects"], found["sizes"]
    for key, name in (("objects", "live"), ("bytes", "live_bytes")):
        demand(sum(s[key] for s in sizes) == objects[name], f"the sizes do not add up to {name}: {line}")
    for size in sizes:
        demand(size["up_to"] // 2 * size["objects"] < size["bytes"] <= size["up_to"] * size["objects"]
               or size["up_to"] == 16, f"the size {size} is in the wrong place")
    demand([s["up_to"] for s in sizes] == sorted({s["up_to"] for s in sizes}), f"the sizes are not in order: {line}")
    if "pages" not in found["left_out"]:
        demand(memory["in_use_bytes"] + memory["free_bytes"] == memory["mapped_bytes"], f"memory does not add up: {line}")
        demand(0 < found["resident"]["bytes"] <= found["resident"]["peak_bytes"] < 1 << 30, f"resident: {line}")
        demand(memory["taken_bytes"] <= memory["taken_peak_bytes"], f"the peak is below what is taken: {line}")
    else:
        demand(memory["in_use_bytes"] is None, f"pages are left out and known: {line}")
    return found


def documents(text):
    return [document(line) for line in text.splitlines()]


def in_quiet():
    """Three reports in a file, with the figures of other functions between the last two."""
    out, err = run("stats=USR1,stats_format=json,stats_file=quiet.%%", "quiet")
    before, with_objects, after = documents((SCRATCH / "quiet.%").read_text())
    for part in ("memory", "objects", "sizes", "heaps", "so_far"):
        demand(with_objects[part] == after[part], f"{part} has changed: {with_objects[part]}, {after[part]}")
    demand(after["left_out"] == [], f"left out in a quiet process: {after['left_out']}")
    demand(after["program"] == "stats_program" and after["reason"] == "signal", f"whose is it: {after}")

    def grown(up_to):
        count = [sum(s["objects"] for s in d["sizes"] if s["up_to"] == up_to) for d in (before, after)]
        return count[1] - count[0]

    demand(grown(128) == 900 and grown(8192) == 10 and grown(1 << 20) == 3, f"sizes: {before['sizes']} {after['sizes']}")
    large = after["objects"]["large_bytes"] - before["objects"]["large_bytes"]
    demand(3000000 <= large <= 3000000 + 3 * 65536 and after["objects"]["large"] == before["objects"]["large"] + 3,
           f"large objects: {large}")
    gone = [d["objects"]["in_bins"] + d["so_far"]["dropped_from_bins"] for d in (before, after)]
    demand(gone[1] == gone[0] + 100, f"100 objects were freed, off the top: {gone}")

    figures, document_of_xml = out.split("\n", 1)
    arena, used, free, kept = map(int, figures.split())
    memory = after["memory"]
    demand((arena, used, free, kept) == (memory["mapped_bytes"], memory["in_use_bytes"], memory["free_bytes"],
                                         memory["trimmable_bytes"]), f"mallinfo2: {figures}; {memory}")
    demand(used >= sum(after["objects"][k] for k in ("live_bytes", "in_bins_bytes", "remote_bytes")), f"in use: {after}")
    root = xml.etree.ElementTree.fromstring(document_of_xml)
    demand(root.tag == "malloc", f"malloc_info: {document_of_xml}")
    demand(root.find("system[@type='current']").get("size") == str(arena), f"malloc_info: {document_of_xml}")
    demand(root.find("total[@type='rest']").get("size") == str(free), f"malloc_info: {document_of_xml}")
    kib = {"mapped": arena >> 10, "in use": used >> 10, "live": after["objects"]["live_bytes"] >> 10}
    for name, value in kib.items():
        demand(f"{name}: {value} KiB" in err, f"malloc_stats does not say {name}: {value} KiB:\n{err}")
    demand(f" KiB in {after['objects']['live']} objects" in err, f"malloc_stats:\n{err}")


def at_exit():
    for options in ("stats=1", "stats=exit", "stats_format=text,stats=exit"):
        _, err = run(options, "none")
        demand(re.match(r"cutback: process \d+ \(stats_program\), at exit\ncutback: mapped: \d+ KiB, in use: ", err),
               f"{options}: {err}")
        demand(all(line.startswith("cutback: ") for line in err.splitlines()), f"{options}: {err}")
    _, err = run("stats=1,stats_format=json", "none")
    demand([d["reason"] for d in documents(err)] == ["exit"], err)
    _, err = run("stats=1,stats_format=json", "none", library=DEBUG)
    demand(len(documents(err)) == 1, f"debug: {err}")
    for options in ("stats=0", "stats=USR2", "", "stats_file=unused,stats_format=json"):
        _, err = run(options, "none")
        demand(err == "" and not (SCRATCH / "unused").exists(), f"{options}: {err}")


def files():
    run("stats=exit,stats_format=json,stats_file=to.%p.%t", "none")
    found = list(SCRATCH.glob("to.*"))
    first = document(found[0].read_text())
    demand(len(found) == 1 and found[0].name == f"to.{first['process']}.{first['time']}", f"files: {found}")
    for _ in range(2):
        run("stats=exit,stats_format=json,stats_file=both", "none")
    demand(len(documents((SCRATCH / "both").read_text())) == 2, "it does not add to a file")
    for path in ("/no/such/folder/file", "/dev/full", str(SCRATCH)):
        _, err = run(f"stats=exit,stats_file={path}", "none")
        demand(err == f"cutback: stats_file: cannot write to {path}\n", f"{path}: {err}")
    for option in ("stats=KILL", "stats=2", "stats_format=xml", "stats_file=%x", "stats_file="):
        name, value = option.split("=")
        _, err = run(option, "none")
        demand(err == f"cutback: CUTBACK_OPTIONS: bad value {value} for {name}\n", f"{option}: {err}")


def other_handlers():
    _, err = run("stats=USR1", "own")
    demand(err == "", f"the program has its own handler: {err}")
    _, err = run("stats=USR1", "fork", preexec_fn=lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN))
    demand(err == "", f"the signal is ignored from the start: {err}")
    run("stats=exit", "fork", status=-signal.SIGUSR1)


def forked():
    run("stats=USR1,stats_format=json,stats_file=forked", "fork")
    before, child, after = documents((SCRATCH / "forked").read_text())
    demand(before["process"] == after["process"] != child["process"], "whose is which?")
    for name, value in before["so_far"].items():
        demand(child["so_far"][name] >= value, f"the child begins anew with {name}")
    demand(child["system"]["mmap_calls"] >= before["system"]["mmap_calls"], "the child begins anew")
    live = [d["objects"]["live"] for d in (before, child, after)]
    demand(live[0] == live[2] == live[1] + 500, f"live objects: {live}")
    run("stats=USR1,stats_format=json,stats_file=forks", "forks", 3, 20)
    found = documents((SCRATCH / "forks").read_text())
    demand(len(found) == 40 and len({d["process"] for d in found}) == 20, f"{len(found)} reports of children")
    for first, second in zip(found[::2], found[1::2]):
        whole = first["left_out"] == second["left_out"] == []
        demand(not whole or second["objects"]["live"] >= first["objects"]["live"] + 900, "a child's objects are missing")


def under_signals():
    """Thousands of them, at threads that are in the heap all the time; some figures may be left out."""
    run("stats=USR1,stats_format=json,stats_file=busy", "busy", 4, 1500)
    found = documents((SCRATCH / "busy").read_text())
    partly = sum(d["left_out"] != [] for d in found)
    print(f"{len(found)} reports of a busy process, {partly} of them without some figures")
    demand(len(found) >= 100 and partly < len(found), "hardly any report came")


def exits_in_handlers():
    partly = 0
    for i in range(12):
        _, err = run("stats=exit,stats_format=json", "exit", 500 + 600 * i)
        partly += documents(err)[0]["left_out"] != []
    print(f"12 processes that ended in a handler, {partly} reports without some figures")


with tempfile.TemporaryDirectory(prefix="cutback-stats-") as folder:
    SCRATCH = Path(folder)
    for check in (in_quiet, at_exit, files, other_handlers, forked, under_signals, exits_in_handlers):
        check()
end()
