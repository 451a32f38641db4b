#!/usr/bin/env python3
"""Tests of tools/cost: the reader of cachegrind's output, the formula, the sums, the names given to code, and one short
run under two allocators.

    cost_test.py BUILD
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import costmodel  # noqa: E402
import elfnames  # noqa: E402
import report  # noqa: E402

BUILD = Path(sys.argv.pop(1)).resolve()
PRELOAD = BUILD / "preload" / "libcutback_preload.so"
CANNED = (Path(__file__).parent / "canned.out").read_text()


def result(program, allocator, ir, faults, peak=1000, functions=None):
    events = dict.fromkeys(costmodel.EVENTS, 0)
    events["Ir"] = ir
    return {"program": program, "kind": "program", "allocator": allocator, "events": events, "functions": functions,
            "faults": faults, "calls": 10, "peak": peak}


def cells(line):
    return [c.strip() for c in line.strip("|").split("|")]


class Reader(unittest.TestCase):
    def test_sums(self):
        events, functions = costmodel.read_cachegrind(CANNED.splitlines())
        self.assertEqual(events["Ir"], 2005)
        self.assertEqual(events["DLmw"], 3)
        self.assertEqual(functions["/src/program.c", "main(int, char**)"]["Ir"], 250)
        self.assertEqual(functions["/src/program.c", "main(int, char**)"]["D1mr"], 8)
        self.assertEqual(functions["/src/program.c", "fl=odd:name"]["Ir"], 40)
        self.assertEqual(functions["???", "malloc"]["Bcm"], 2)
        self.assertEqual(len(functions), 6)

    def test_select_adds_what_is_inlined(self):
        _, functions = costmodel.read_cachegrind(CANNED.splitlines())
        own = costmodel.select(functions, lambda _, name: name == "_int_malloc")
        self.assertEqual(own, {"_int_malloc": {"Ir": 115, "I1mr": 1, "ILmr": 1, "D1mr": 2, "DLmr": 1, "D1mw": 0, "DLmw": 0,
                                               "Bcm": 1, "Bim": 0}})

    def test_malformed(self):
        lines = CANNED.splitlines()
        self.assertRaisesRegex(costmodel.Malformed, "summary is missing", costmodel.read_cachegrind, lines[:-1])
        self.assertRaisesRegex(costmodel.Malformed, "summary is missing", costmodel.read_cachegrind, [])
        self.assertRaisesRegex(costmodel.Malformed, "before the names", costmodel.read_cachegrind, lines[5:])
        wrong = [line.replace("0 600 1", "0 601 1") for line in lines]
        self.assertRaisesRegex(costmodel.Malformed, "2006 Ir together, the summary has 2005", costmodel.read_cachegrind, wrong)
        short = ["events: Ir Dr", "fl=a", "fn=b", "0 1 2", "summary: 1 2"]
        self.assertRaisesRegex(costmodel.Malformed, "--cache-sim=yes", costmodel.read_cachegrind, short)


class Formula(unittest.TestCase):
    def test_parts(self):
        events, _ = costmodel.read_cachegrind(CANNED.splitlines())
        r = {"events": events, "functions": None, "faults": 7, "calls": 3, "peak": 1}
        self.assertEqual(costmodel.cost(r), {"instructions": 2005 / 4, "L1": 14 * (7 + 33 + 8), "L2": 60 * (5 + 15 + 3),
                                             "branches": 18 * (9 + 3), "faults": 1500 * 7, "calls": 600 * 3})
        self.assertEqual(costmodel.total(r), 501.25 + 672 + 1380 + 216 + 10500 + 1800)

    def test_inside_has_no_faults_and_is_part_of_the_whole(self):
        events, functions = costmodel.read_cachegrind(CANNED.splitlines())
        own = costmodel.select(functions, lambda _, name: name == "malloc" or name.startswith("allocator:"))
        r = {"events": events, "functions": own, "faults": 7, "calls": 3}
        self.assertEqual(costmodel.inside(r), {"instructions": 400, "L1": 14 * 31, "L2": 60 * 13, "branches": 18 * 8})
        rest = costmodel.select(functions, lambda _, name: name not in own)
        other = costmodel.inside({**r, "functions": rest})
        for part, cycles in costmodel.inside(r).items():
            self.assertEqual(cycles + other[part], costmodel.cost(r)[part])
        self.assertIsNone(costmodel.inside({**r, "functions": None}))


class Tables(unittest.TestCase):
    def test_ratios_and_mean(self):
        # 10 calls are 6,000 cycles
        results = [result("p", "a", 16000, 0), result("p", "b", 56000, 0),  # 10,000 and 20,000 cycles
                   result("q", "a", 0, 8), result("q", "b", 0, 0),          # 18,000 and 6,000
                   result("r", "a", 16000, 0)]                              # no figure of b: no part of the mean
        rows = costmodel.ratios(results, "program", ["a", "b"], costmodel.total)
        self.assertEqual(rows, [["p", "1.000", "2.000"], ["q", "3.000", "1.000"], ["r", "1.000", "–"],
                                ["*geometric mean of 2*", "1.732", "1.414"]])

    def test_ratios_to_one_allocator(self):
        results = [result("p", "a", 16000, 0), result("p", "b", 56000, 0), result("q", "a", 16000, 0)]
        rows = costmodel.ratios(results, "program", ["a", "b"], costmodel.total, "b")
        self.assertEqual(rows, [["p", "0.500", "1.000"]])

    def test_comparison(self):
        results = [result("p", "new", 16000, 1, 3000), result("p", "old", 8000, 2, 1000),
                   result("q", "new", 8000, 0), result("q", "old", 8000, 0), result("r", "new", 1, 1)]
        lines = costmodel.comparison(results, "new", "old")
        rows = [cells(line) for line in lines[2:]]
        self.assertEqual(rows[0], ["", "cost", "instructions", "L1", "L2", "branches", "faults", "calls", "inside", "peak"])
        self.assertEqual(rows[2], ["p", "1.0455", "2.0000", "–", "–", "–", "0.5000", "1.0000", "–", "3.0000"])
        self.assertEqual(rows[3], ["q", "1.0000", "1.0000", "–", "–", "–", "–", "1.0000", "–", "1.0000"])
        self.assertEqual(rows[4][:3], ["*geometric mean of 2*", "1.0225", "1.4142"])

    def test_everything_is_in_the_markdown(self):
        text = "\n".join(costmodel.markdown([result("p", "a", 16000, 4, 2500000)], ["a", "b"]))
        self.assertIn("| p a |     0.0 |", text)
        self.assertIn("2.5 |", text)


class Report(unittest.TestCase):
    """The table in the report of the benchmarks."""

    RUN = {"date": "today", "machine": "m", "cpu": "c", "cores": 2, "kernel": "k", "commit": "0" * 40, "dirty": False,
           "rounds": 1, "quick": False, "workloads": [], "skipped": [],
           "allocators": [{"name": "a", "version": "1", "sha256": "this"}, {"name": "b", "version": "1", "sha256": "that"}]}

    def test_says_which_is_which(self):
        events, functions = costmodel.read_cachegrind(CANNED.splitlines())
        whole = {"program": "p", "kind": "program", "allocator": "a", "library": "this", "events": events, "calls": 3,
                 "functions": costmodel.select(functions, lambda *_: True), "faults": 7, "peak": 1, "by_call": {}}
        small = costmodel.without_functions(whole)
        self.assertNotIn("by_call", small)
        self.assertEqual(costmodel.inside(small), costmodel.inside(whole))
        text = report.markdown({**self.RUN, "cost": [small, {**small, "allocator": "b", "library": "other"}]})
        self.assertIn("## Counted, not timed", text)
        self.assertIn("another build than was measured above: b.", text)
        self.assertRegex(text, r"\| p +\| 1\.000 \| 1\.000 \|")

    def test_nothing_where_nothing_was_counted(self):
        self.assertNotIn("Counted", report.markdown(self.RUN))


class Names(unittest.TestCase):
    """All the code of a library is the allocator's, whether it has symbols or not."""

    def check(self, data):
        named, exported = elfnames.named(data)
        self.assertLessEqual({"malloc", "free", "realloc"}, exported)
        header = elfnames.HEADER.unpack_from(named)
        sections = [elfnames.SECTION.unpack_from(named, header[6] + k * elfnames.SECTION.size) for k in range(header[12])]
        symbols = elfnames.functions(named, sections, elfnames.SHT_SYMTAB) + elfnames.functions(named, sections,
                                                                                              elfnames.SHT_DYNSYM)
        for k, (_, type_, flags, address, offset, size, *_) in enumerate(sections):
            if type_ == elfnames.SHT_PROGBITS and flags & elfnames.SHF_EXECINSTR:
                known = sorted((a, a + n) for a, n, _, section in symbols if section == k)
                self.assertEqual(elfnames.gaps(address, address + size, known), [])
                self.assertEqual(named[offset:offset + size], data[offset:offset + size])
        self.assertTrue(all(name.startswith(elfnames.PREFIX) or name in exported for _, _, name, _ in symbols))
        return named

    def test_with_symbols(self):
        self.assertIn(b"allocator:cb_", self.check(PRELOAD.read_bytes()))

    @unittest.skipUnless(shutil.which("strip"), "strip is not installed")
    def test_stripped(self):
        with tempfile.TemporaryDirectory() as folder:
            stripped = Path(folder) / "stripped.so"
            subprocess.run(["strip", "-o", stripped, PRELOAD], check=True)
            self.assertNotIn(b"allocator:cb_", self.check(stripped.read_bytes()))

    def test_gaps(self):
        self.assertEqual(elfnames.gaps(10, 20, []), [(10, 20)])
        self.assertEqual(elfnames.gaps(10, 20, [(8, 12), (11, 14), (14, 15), (18, 25)]), [(15, 18)])
        self.assertEqual(elfnames.gaps(10, 20, [(10, 18), (12, 13)]), [(18, 20)])
        self.assertEqual(elfnames.gaps(10, 20, [(25, 30)]), [(10, 20)])

    def test_not_a_library(self):
        self.assertRaises(elfnames.NotElf, elfnames.named, b"#!/bin/sh\n" * 100)


class Chance(unittest.TestCase):
    """The libraries that are preloaded beside an allocator give every process the same."""

    PROGRAM = """
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.getauxval.restype, libc.getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
first, second = time.monotonic_ns(), time.monotonic_ns()
print(second - first, time.time_ns() // 10**9, os.getrandom(8).hex(), libc.time(None), libc.clock(), libc.random())
print(ctypes.string_at(libc.getauxval(25), 16).hex(), ctypes.string_at(libc.getauxval(33), 4), libc.getauxval(6))
libc.fopen.restype, libc.fgetc.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
print(libc.fgetc(libc.fopen(b"/dev/urandom", b"r")), libc.fgetc(libc.fopen(b"/proc/self/comm", b"r")))
"""

    def test_two_processes(self):
        libraries = f"{BUILD}/bench/libslowclock.so:{BUILD}/bench/libsteady.so"
        said = {subprocess.run([sys.executable, "-c", self.PROGRAM], capture_output=True, text=True, check=True,
                               env={**os.environ, "LD_PRELOAD": libraries, "PYTHONHASHSEED": "0"}).stdout
                for _ in range(2)}
        self.assertEqual(len(said), 1, said)
        clocks, auxiliary, device = said.pop().splitlines()
        self.assertRegex(clocks, r"^1000 1700000000 5a5a5a5a5a5a5a5a 1700000000 1000 \d+$")
        self.assertEqual(auxiliary, f"{'5a' * 16} b'\\x7fELF' {os.sysconf('SC_PAGESIZE')}")
        self.assertRegex(device, r"^0 \d+$")


def tools_work():
    """Whether this machine lets programs be counted: a container may forbid some of it."""
    for command in (["valgrind", "--version"], ["setarch", "-R", "true"], ["strace", "-c", "-o", "/dev/null", "true"]):
        if not shutil.which(command[0]) or subprocess.run(command, capture_output=True).returncode != 0:
            return False
    return True


class Command(unittest.TestCase):
    def cost(self, *args):
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        return subprocess.run([sys.executable, ROOT / "tools" / "cost", "--build", BUILD, "--no-build", *args],
                              capture_output=True, text=True, env=env)

    @unittest.skipUnless(tools_work(), "valgrind, strace or setarch is missing, or does not work here")
    def test_run(self):
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "kept.json"
            args = ["--only", "pairs", "--allocators", "glibc,cutback", "--runs", "1", "--json", str(kept)]
            done = self.cost(*args)
            self.assertEqual(done.returncode, 0, done.stderr)
            by = {r["allocator"]: r for r in json.loads(kept.read_text())["results"]}
            self.assertEqual(set(by), {"glibc", "cutback"})
            for r in by.values():
                self.assertGreater(r["events"]["Ir"], 20e6)  # a million pairs
                self.assertGreater(r["faults"], 20)
                self.assertGreater(r["peak"], 500000)
                self.assertGreaterEqual(r["by_call"]["mmap"], 3)
                self.assertEqual(sum(r["by_call"].values()), r["calls"])
            own, whole = costmodel.inside(by["cutback"]), costmodel.cost(by["cutback"])
            self.assertLessEqual({"malloc", "free"}, set(by["cutback"]["functions"]))
            for part in own:
                self.assertLess(own[part], whole[part])
            self.assertGreater(own["instructions"], whole["instructions"] / 3)
            totals = {a: costmodel.total(r) for a, r in by.items()}
            row = re.search(r"^\| pairs +\| +([\d.]+) \| +([\d.]+) \|$", done.stdout, re.M)
            self.assertEqual([float(x) for x in row.groups()],
                             [round(totals[a] / min(totals.values()), 3) for a in ("glibc", "cutback")])
            again = self.cost(*args)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertEqual(again.stderr.count(": known"), 2, again.stderr)
            self.assertEqual(again.stdout, done.stdout)
            table = self.cost("--json", str(kept), "--table")
            self.assertEqual(table.stdout, done.stdout)

    def test_wrong_arguments(self):
        for args, text in ((["--only", "nosuch"], "no nosuch; there are cc1"),
                           (["--table"], "--table needs --json FILE"),
                           (["--against", "/no/such.so"], "there is no such file"),
                           (["--json", "/no/such/folder/file"], "there is no such folder"),
                           (["--allocators", "nosuch"], "no allocator nosuch"),
                           (["--base", "nosuch"], "no allocator nosuch"),
                           (["name=/no/such.so"], "a library that exists"), (["--jobs", "0"], "at least 1")):
            done = self.cost(*args)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(text, done.stderr.splitlines()[-1])
            self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
