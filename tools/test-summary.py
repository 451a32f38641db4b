#!/usr/bin/env python3
"""Adds up a run of `tools/dev test`.

usage: test-summary.py FILE

FILE has a line for each check: "passed", "failed" or "skipped", a name, and a log or nothing, between tabs; or "meson",
a kind of build, and the testlog.json of its tests, in which each test, or each case of a test that prints TAP, counts.
Prints the ends of the logs of what failed, why tests were skipped, and as its last line "N passed, N failed, N skipped".
Exit status 1 when something failed, or nothing passed.
"""
import json
import re
import sys

GOOD = {"OK", "EXPECTEDFAIL"}


def tail(text, lines=40):
    return "\n".join("    " + line for line in text.rstrip().split("\n")[-lines:])


def tap_cases(text):
    """(passed, failed, skipped) of a TAP report, or None when it is none."""
    if not re.search(r"^1\.\.\d+", text, re.M):
        return None
    passed = failed = skipped = 0
    for bad, rest in re.findall(r"^(not )?ok\b(.*)$", text, re.M):
        if re.search(r"# *skip", rest, re.I):
            skipped += 1
        elif bad:
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped


class Summary:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add(self, status, name, text):
        if status == "passed":
            self.passed += 1
        elif status == "skipped":
            self.skips.append((name, text))
        else:
            self.failures.append((name, text))

    def add_test(self, kind, test):
        name = f"{kind}: {test['name']}"
        output = test.get("stdout") or ""
        text = output + (test.get("stderr") or "")
        result = test["result"]
        cases = tap_cases(output)
        if cases:
            self.passed += cases[0]
            self.skips += [(name, "a case in it")] * cases[2]
            self.failures += [(name, text)] * cases[1]
            if result in GOOD or result == "SKIP" or cases[1]:
                return
        if result in GOOD:
            self.add("passed", name, text)
        elif result == "SKIP":
            self.add("skipped", name, text.strip().split("\n")[-1])
        else:
            self.add("failed", f"{name} ({result.lower()}, exit status {test.get('returncode')})", text)

    def add_meson(self, kind, path):
        try:
            with open(path) as file:
                tests = [json.loads(line) for line in file]
        except OSError:
            tests = []
        if not tests:
            self.add("failed", f"{kind}: no tests were run", path)
        for test in tests:
            self.add_test(kind, test)


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def main():
    summary = Summary()
    with open(sys.argv[1]) as file:
        for line in file:
            status, name, log = line.rstrip("\n").split("\t")
            if status == "meson":
                summary.add_meson(name, log)
            else:
                summary.add(status, name, read(log) if log else "")

    for name, why in summary.skips:
        print(f"SKIPPED {name}: {why}" if why else f"SKIPPED {name}")
    shown = {}
    for name, text in summary.failures:
        print(f"FAILED  {name}")
        if name not in shown and text:
            print(tail(text))
        shown[name] = True
    print(f"{summary.passed} passed, {len(summary.failures)} failed, {len(summary.skips)} skipped")
    sys.exit(1 if summary.failures or not summary.passed else 0)


main()
