#!/usr/bin/env python3
"""Checks that what documents and comments name is there: usage: names.py ROOT

Every cb_name and CB_NAME of src/README.md, CONTRIBUTING.md, doc/ and of the comments in the product stands in some
code; so a function that gets another name gets it everywhere.
"""
import pathlib
import re
import sys

PRODUCT = ("src", "preload", "trace", "launcher", "replay")
CODE = PRODUCT + ("tests", "fuzz", "bench", "gdb")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
NAME = re.compile(r"\b(?:cb|CB)_[A-Za-z]\w+")
# A pattern of names, not a name.
PATTERNS = {"cb_x_"}


def sources(root, folders):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".cpp", ".hpp", ".py", ".build"):
                yield path, path.read_text()


def documents(root):
    for path in [root / "CONTRIBUTING.md", root / "src/README.md"] + sorted((root / "doc").glob("*.md")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in NAME.findall(line):
                yield f"{path.relative_to(root)}:{number}", name


def comments(root):
    for path, text in sources(root, PRODUCT):
        for found in COMMENT.finditer(text):
            for name in NAME.findall(found.group(0)):
                yield f"{path.relative_to(root)}:{text[:found.start()].count(chr(10)) + 1}", name


def main():
    root = pathlib.Path(sys.argv[1])
    code = {name for _, text in sources(root, CODE) for name in NAME.findall(COMMENT.sub("", text))}
    if len(code) < 1000:
        sys.exit(f"{root} shows {len(code)} names: it cannot be judged")
    wrong = [f"{where}: {name} is nowhere" for where, name in [*documents(root), *comments(root)]
             if name not in code and name not in PATTERNS]
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
