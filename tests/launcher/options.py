#!/usr/bin/env python3
"""The table of options in src/heap/options.h, the manual page cutback(7) and cutback-run --help say the same.

    options.py FOLDER-OF-SOURCES CUTBACK-RUN

Names, their order, the values and the default of each, the signals.
The tables of README.md and doc/ are compared with the header by tests/readme/readme.py.
"""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import demand, end  # noqa: E402

SOURCE, LAUNCHER = Path(sys.argv[1]), sys.argv[2]
PAGE = SOURCE / "doc" / "cutback.7"


def of_header():
    """[(name, values, default)]"""
    text = (SOURCE / "src" / "heap" / "options.h").read_text()
    enums = [e.replace(" ", "").split(",") for e in re.findall(r"enum cb_\w+ \{ (.*?) \}", text)]
    found = []
    for kind, name, rest in re.findall(r"^    (WORD|SIZE|FLAG|WHEN|PATH)\((\w+)(.*?)\) *(?:/\*.*?\*/)? *\\?$", text, re.M):
        if kind == "WORD":
            words = re.findall(r'"(\w+)"', rest)
            default = rest.strip(", ").split(",")[0]
            found.append((name, words, words[next(e.index(default) for e in enums if default in e)]))
        elif kind == "SIZE":
            number, shift = re.fullmatch(r", (?:\(size_t\))?(\d+)(?: << (\d+))?", rest).groups()
            found.append((name, ["BYTES"], int(number) << int(shift or 0)))
        elif kind == "FLAG":
            found.append((name, ["0", "1"], rest.strip(", ")))
        elif kind == "WHEN":
            found.append((name, ["0", "1", "exit", "SIGNAL"], "0"))
        else:
            found.append((name, ["PATH"], "none"))
    return found


def of_page():
    text = PAGE.read_text()
    part = text[text.index(".Sh OPTIONS"):text.index(".Sh ENVIRONMENT")]
    found = []
    for name, values, default in re.findall(r"^\.It Cm (\w+) Ns = Ns (.*)\n\.Pq default: (?:Cm|No) (\w+)$", part, re.M):
        words = [(w.upper() if kind == "Ar" else w) for kind, w in re.findall(r"(Cm|Ar) (\w+)", values)]
        size = re.fullmatch(r"(\d+)([KMG])", default)
        default = int(size[1]) << {"K": 10, "M": 20, "G": 30}[size[2]] if size else default
        found.append((name, words, default))
    demand(len(found) == len(re.findall(r"^\.It ", part, re.M)), "an entry of the page is of another form")
    return found


def signals():
    """Those that the parser knows are those that the page and doc/statistics.md name."""
    known = re.findall(r'\{"([A-Z0-9]+)", SIG\1\}', (SOURCE / "src" / "heap" / "options.c").read_text())
    demand(len(known) >= 10, f"only these signals are known: {known}")
    for path, separator in ((PAGE, " , "), (SOURCE / "doc" / "statistics.md", ", ")):
        text = re.sub(r"\n(?:\.Cm |or\n\.Cm )", " , ", path.read_text())
        demand(separator.join(known) in text, f"{path.name} does not list the signals {known}")


def of_help():
    out = subprocess.run([LAUNCHER, "--help"], capture_output=True, text=True, check=True).stdout
    return re.search(r"^Options of cutback.*?:\n(.*?)\n\n", out, re.M | re.S)[1].split()


header, page = of_header(), of_page()
demand(len(header) >= 10, f"only these options are in the header: {header}")
for ours, what, others in ((header, "options.h", page), (page, "cutback.7", header)):
    for option in ours:
        demand(option in others, f"only {what} has {option}")
demand(header == page, "the order is not the same")
signals()
demand(of_help() == [name for name, _, _ in header], f"--help has {of_help()}")
end()
