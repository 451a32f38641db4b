#!/usr/bin/env python3
"""Runs every service of tests/services by itself, and writes the table of doc/services.md.

usage: services-table.py PRELOAD-LIBRARY

What is between the line that begins with "One run" and the end of the table is replaced. A service that is not installed,
or that fails, ends it, and the page stays as it is.
"""
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
FOLDER = TOP / "tests" / "services"


def measure(library, folder):
    """What each service leaves, in the order of their names."""
    sys.path.insert(0, str(FOLDER))
    import service
    for name in service.SERVICES:
        print(name, file=sys.stderr, flush=True)
        record = Path(folder) / f"{name}.json"
        status = subprocess.run([sys.executable, FOLDER / "service.py", name, "--record", record], stdout=sys.stderr,
                                env={**os.environ, "CUTBACK_PRELOAD": str(library)}, check=False).returncode
        if status != 0:
            sys.exit(f"{name}: status {status}; nothing is written")
        yield json.loads(record.read_text())


def size(kib):
    mb = kib * 1024 / 1e6
    return f"{mb:.1f}" if mb < 100 else f"{mb:.0f}"


def table(records):
    date, huge = datetime.date.today(), Path("/sys/kernel/mm/transparent_hugepage/enabled")
    pages = re.search(r"\[(\w+)\]", huge.read_text())[1] if huge.exists() else "none"
    kernel = re.match(r"\d+\.\d+", platform.release())[0]
    libc = platform.libc_ver()[1]
    yield (f"One run, {date.day} {date:%B %Y}: {os.cpu_count()} cores, Linux {kernel}, glibc {libc}, transparent huge pages: "
           f"{pages}. Resident MB:")
    yield ""
    yield "| | peak, glibc | peak, cutback | final, glibc | final, cutback |"
    yield "|---|---:|---:|---:|---:|"
    for record in records:
        glibc, cutback = record["runs"]
        final = [size(run["final"]) if run["final"] else "" for run in (glibc, cutback)]
        yield f"| {record['version']} | {size(glibc['peak'])} | {size(cutback['peak'])} | {final[0]} | {final[1]} |"


def main():
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(__doc__)
    page = TOP / "doc" / "services.md"
    with tempfile.TemporaryDirectory() as folder:
        lines = "\n".join(table(list(measure(Path(sys.argv[1]).resolve(), folder))))
    text, count = re.subn(r"^One run.*?(?=\n\n(?!\|))", lambda _: lines, page.read_text(), flags=re.M | re.S)
    if count != 1:
        sys.exit(f"{page} has no line that begins with: One run")
    page.write_text(text)


main()
