#!/usr/bin/env python3
"""Checks that no function is longer than 40 lines and no source file longer than 500: usage: lengths.py ROOT

A function is counted from its first line to its closing brace. The lists below hold what is longer today, with the most
lines that it may have; what fits leaves its list.
"""
import pathlib
import re
import sys

FUNCTION_MOST, FILE_MOST = 40, 500
PRODUCT = ("src", "preload", "trace", "launcher", "replay")
# Headers for users are one file each.
PUBLIC = {"src/cutback.h", "src/cutback.hpp", "src/cutback_chain.h", "src/cutback_util.h"}
LONG_FUNCTIONS = {}
LONG_FILES = {}
TABLE = re.compile(r"typedef|enum|struct \w+ \{|union|static const struct [^(]*=")
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def functions(text):
    """(name, lines) of each function: from a line at the margin that ends in `{` to the next `}` at the margin."""
    text = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found.group(0)), text)
    start, head = None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if start is None and re.match(r"[A-Za-z_]", line):
            start, head = number, line
        elif start is not None and not line.startswith("}"):
            head += " " + line if "{" not in head else ""
        if start is not None and "{" not in head and head.rstrip().endswith(";"):
            start = None
        if start is not None and line.startswith("}"):
            found = re.search(r"\b([A-Za-z_]\w*)\)?\s*\([^=]*\{", head)
            if found is not None and not TABLE.match(head):
                yield found.group(1), number - start + 1
            start = None


def long_ones(root):
    long_functions, long_files, count = {}, {}, 0
    for path in sorted(p for folder in PRODUCT for p in (root / folder).rglob("*.[ch]")):
        name, text = str(path.relative_to(root)), path.read_text()
        lines = text.count("\n")
        if lines > FILE_MOST and name not in PUBLIC:
            long_files[name] = lines
        for function, length in functions(text):
            count += 1
            if length > FUNCTION_MOST:
                long_functions[f"{name}: {function}"] = length
    return long_functions, long_files, count


def judge(found, allowed, most, what):
    for name, length in sorted(found.items()):
        if length > allowed.get(name, most):
            yield f"{name} has {length} lines: at most {allowed.get(name, most)} {what}"
    for name in sorted(set(allowed) - set(found)):
        yield f"{name} has no more than {most} lines now: take it off the list"


def main():
    root = pathlib.Path(sys.argv[1])
    long_functions, long_files, count = long_ones(root)
    wrong = list(judge(long_functions, LONG_FUNCTIONS, FUNCTION_MOST, "in a function"))
    wrong += list(judge(long_files, LONG_FILES, FILE_MOST, "in a file"))
    for line in wrong:
        print(line)
    if count < 800:
        sys.exit(f"{root} shows {count} functions: it cannot be judged")
    sys.exit(1 if wrong else 0)


main()
