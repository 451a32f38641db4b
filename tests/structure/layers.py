#!/usr/bin/env python3
"""Checks that src/ is in the layers of src/README.md: usage: layers.py SRC NM ARCHIVE...

A file includes only headers of modules that stand before it, and an object of the archives refers only to symbols that
objects before it define; the first archive with a symbol is the one that counts.
"""
import pathlib
import re
import subprocess
import sys


def read_order(readme):
    found = re.search(r"^```layers\n(.*?)^```", readme.read_text(), re.S | re.M)
    return {module: i for i, module in enumerate(found.group(1).split())}


def module_of(path):
    return str(path.with_suffix(""))


def wrong_includes(src, order):
    for path in sorted(path for folder in ("os", "heap", "debug") for path in src.glob(f"{folder}/*.[ch]")):
        module = module_of(path.relative_to(src))
        if module not in order:
            yield f"{module}: not in the list of layers"
            continue
        for name in re.findall(r'^#include "([^"]+)\.h"', path.read_text(), re.M):
            if order.get(name, len(order)) > order[module]:
                yield f"{path.relative_to(src)} includes {name}.h, which stands behind it"


def symbols(nm, archives, order):
    """What each module defines, and what it needs. An object's name has its folder in it: heap_block.c.o."""
    defined, needed = {}, {}
    text = subprocess.run([nm, "-A", *archives], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        found = re.match(r".*?[:\[/]([a-z_]+)\.c\.o[\]:]*:?\s*(?:[0-9a-f]+)? ([A-Za-z]) (\S+)$", line)
        if found is None:
            continue
        member, kind, symbol = found.groups()
        module = member.replace("_", "/", 1)
        if module not in order:
            continue
        if kind == "U":
            needed.setdefault(module, set()).add(symbol)
        elif kind.isupper():
            defined.setdefault(symbol, module)
    return defined, needed


def wrong_calls(defined, needed, order):
    for module, names in sorted(needed.items()):
        for name in sorted(names):
            where = defined.get(name)
            if where is not None and order[where] > order[module]:
                yield f"{module} refers to {name} of {where}, which stands behind it"


def main():
    src, nm, archives = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    order = read_order(src / "README.md")
    defined, needed = symbols(nm, archives, order)
    wrong = list(wrong_includes(src, order)) + list(wrong_calls(defined, needed, order))
    for line in wrong:
        print(line)
    if len(needed) < 20 or len(defined) < 100:
        sys.exit(f"{archives} show {len(needed)} modules and {len(defined)} symbols: it cannot be judged")
    sys.exit(1 if wrong else 0)


main()
