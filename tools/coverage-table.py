#!/usr/bin/env python3
"""Prints, as a table in Markdown, how many lines of each file were run, and which were not.

Usage: coverage-table.py LCOV TOP FOLDER...: of the files in TOP/FOLDER that the tracefile LCOV knows. A line counts
once, and as run if it was run in any of the programs that contain it.
"""
import os
import sys


def read(path):
    files, lines = {}, None
    with open(path, encoding="utf-8") as trace:
        for record in trace:
            kind, _, rest = record.strip().partition(":")
            if kind == "SF":
                lines = files.setdefault(os.path.normpath(rest), {})
            elif kind == "DA":
                number, count = rest.split(",")[:2]
                lines[int(number)] = max(int(count), lines.get(int(number), 0))
    return files


def stretches(numbers):
    """[1, 2, 3, 5] as 1-3 5"""
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def main():
    trace, top, folders = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3:]
    total = run = 0
    print("| file | lines | run | % | not run |")
    print("|---|---:|---:|---:|---|")
    for path, lines in sorted(read(trace).items()):
        if os.path.basename(os.path.dirname(path)) not in folders or not path.startswith(top + os.sep):
            continue
        missed = [number for number, count in lines.items() if count == 0]
        good = len(lines) - len(missed)
        total += len(lines)
        run += good
        name = os.path.relpath(path, top)
        print(f"| {name} | {len(lines)} | {good} | {100 * good / len(lines):.1f} | {stretches(missed)} |")
    print(f"| **all** | {total} | {run} | {100 * run / total:.1f} | |")


main()
