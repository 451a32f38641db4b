#!/usr/bin/env python3
"""The version is the same wherever it stands, and so are the lists of what libcutback exports.

    versions.py SOURCE-FOLDER VERSION
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import demand, end  # noqa: E402

SOURCE, VERSION = Path(sys.argv[1]), sys.argv[2]


def text(name):
    return (SOURCE / name).read_text(encoding="utf-8")


header = ".".join(re.findall(r"^#define CUTBACK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", text("src/cutback.h"), re.M))
demand(header == VERSION, f"src/cutback.h has version {header}, meson.build {VERSION}")

changes = re.findall(r"^## (\S+) \(\d+ \w+ \d{4}\)$", text("CHANGELOG.md"), re.M)
debian = re.findall(r"^cutback \(([^)]*)\) ", text("debian/changelog"), re.M)
demand(changes[:1] == [VERSION], f"CHANGELOG.md begins with version {changes[:1]}, not {VERSION}")
demand(changes == debian, f"CHANGELOG.md has versions {changes}, debian/changelog {debian}")

nodes = dict(re.findall(r"^(CUTBACK_[\d.]+) \{\n(.*?)^\}", text("src/arena/cutback.map"), re.M | re.S))
exported = {f"{name}@{node}" for node, names in nodes.items()
            for name in [node, *re.findall(r"^    (\w+);$", names, re.M)]}
symbols = text("debian/libcutback0.symbols").split("libcutback_malloc.so.0 ")[0]
packaged = set(re.findall(r"^ (\S+@CUTBACK_\S+) ", symbols, re.M))
demand(exported and exported == packaged,
       f"only in one of src/arena/cutback.map and debian/libcutback0.symbols: {sorted(exported ^ packaged)}")
end()
