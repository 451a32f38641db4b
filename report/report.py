#!/usr/bin/env python3
"""Writes a page about the memory of a program that cutback-run --report has recorded, to standard output.

    report.py --can-draw
    report.py --replay CUTBACK-REPLAY --traces FOLDER --run SECONDS,CPU-SECONDS,PEAK-KIB,END --version VERSION
              [--compared FILE] [--malloc NAME]... -- PROGRAM [ARGUMENT...]

FOLDER has a trace for each process. CUTBACK-REPLAY aggregates them, however long they are; what is drawn here is a few
thousand numbers. --malloc: the largest trace is replayed under these. --compared: what cutback-run --compare --json has
written. Without a page, one line on standard error says why, and the exit status is 3. --can-draw: the exit status is 0
if matplotlib is there. doc/report.md says what each picture means.
"""

import argparse
import importlib.util
import sys

sys.dont_write_bytecode = True  # the folder may be another user's

TOLD = 3


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--can-draw", action="store_true")
    parser.add_argument("--replay")
    parser.add_argument("--traces")
    parser.add_argument("--run")
    parser.add_argument("--version", default="")
    parser.add_argument("--compared")
    parser.add_argument("--malloc", action="append", default=[])
    parser.add_argument("program", nargs="*")
    return parser.parse_args()


def main():
    given = arguments()
    if given.can_draw:
        return 0 if importlib.util.find_spec("matplotlib") else 1
    import figures
    import page
    try:
        found = figures.gather(given)
        text = page.write(found)
    except figures.NoReport as reason:
        print(f"cutback-run: there is no report: {reason}", file=sys.stderr)
        return TOLD
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    return 0


try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
except Exception as error:
    if sys.flags.dev_mode:  # python3 -X dev
        raise
    print(f"cutback-run: there is no report: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(TOLD)
