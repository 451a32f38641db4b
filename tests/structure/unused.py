#!/usr/bin/env python3
"""Checks that the libraries hold no function that only tests use: usage: unused.py ROOT NM LIBRARY...

A function of ours is used when its name stands in a source of the product somewhere but where it is declared or
defined. Whatever is not used, and is not for the program that links or preloads the library, is dead or for tests; it
may stand in src/ between `#ifdef CB_TESTING` and `#endif` or in a file that only tests compile, but in no library.
"""
import pathlib
import re
import subprocess
import sys

PRODUCT = ("src", "preload", "trace", "launcher", "replay")
# Only tests, fuzzers and benchmarks compile these.
FOR_TESTS = ("src/arena/check.h", "src/arena/chain_check.h", "src/heap/check.c", "src/heap/check.h",
             "src/os/rank.c", "src/os/rank.h")
# These only declare the public functions under a prefix.
PREFIXED = ("src/heap/names.h",)
BLANK = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
TESTING = re.compile(r"^#ifdef CB_TESTING\n.*?^#(?:endif|else)", re.S | re.M)
ATTRIBUTE = re.compile(r"__attribute__\(\(.*?\)\)|_Alignas\(\d+\)")
HEAD = re.compile(r"[A-Za-z_][^=;]*?\b([A-Za-z_]\w*)\s*\(")
# The program calls these: they have the public header's names, libc's, or the loader's attention.
OF_PROGRAM = re.compile(r"\b(?:CB_NAME|CB_EXPORT|CUTBACK_API)\b|constructor|destructor|visibility")


def keep_lines(found):
    return re.sub(r"[^\n]", " ", found.group(0))


def declared(line):
    """The function that a line declares or defines, or None."""
    if not re.match(r"[A-Za-z_]", line) or line.startswith(("typedef", "_Static_assert")):
        return None
    found = HEAD.match(ATTRIBUTE.sub("", line))
    return found.group(1) if found is not None else None


def read(root):
    """{function: where it is first seen} of the product, for whom it is not the program's, and all names used."""
    ours, used = {}, set()
    for path in sorted(p for folder in PRODUCT for p in (root / folder).rglob("*.[ch]")):
        name = str(path.relative_to(root))
        if name in FOR_TESTS + PREFIXED:
            continue
        text = TESTING.sub(keep_lines, BLANK.sub(keep_lines, path.read_text()))
        for number, line in enumerate(text.splitlines(), 1):
            function = declared(line)
            used.update(word for word in re.findall(r"[A-Za-z_]\w*", line) if word != function)
            if function is not None and not OF_PROGRAM.search(line) and not re.match("main$|cutback_", function):
                ours.setdefault(function, f"{name}:{number}")
    # A function may come in under the name of another.
    for build in (p for folder in PRODUCT for p in (root / folder).rglob("meson.build")):
        used.update(re.findall(r"-D\w+=(\w+)", build.read_text()))
    return ours, used


def defined(nm, library):
    """The functions of ours in a library, hidden ones included, without the compiler's parts of them."""
    text = subprocess.run([nm, library], check=True, capture_output=True, text=True).stdout
    exported = subprocess.run([nm, "-D", library], capture_output=True, text=True).stdout
    public = set(re.findall(r" T (\w+)", exported))
    return set(re.findall(r" [tT] (cb_\w+)", text)) - public


def main():
    root, nm, libraries = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    ours, used = read(root)
    wrong = [f"{where}: nothing but tests calls {function}" for function, where in sorted(ours.items())
             if function not in used]
    for library in libraries:
        functions = defined(nm, library)
        if len(functions) < 15:
            sys.exit(f"{library} shows {len(functions)} functions: it cannot be judged")
        # Of those that the text does not declare, some are libc's under a prefix: cb_malloc is CB_NAME(malloc).
        wrong += [f"{library} holds {function}, which is for tests" for function in sorted(functions - used)
                  if function[3:] not in used]
    for line in wrong:
        print(line)
    if len(ours) < 500:
        sys.exit(f"{root} shows {len(ours)} functions: it cannot be judged")
    sys.exit(1 if wrong else 0)


main()
