#!/usr/bin/env python3
"""Runs the unit tests of the arena on another processor: those of tests/arena, and the corpus of fuzz/corpus/arena.

    machines.py MACHINE SOURCE-FOLDER

All is built by clang and lld, for Linux without a C library or, for the Cortex-M0, without anything, and run by QEMU. In
place of cmocka there is what include/ has. Left out are tests of AddressSanitizer and of arenas beyond 4 GiB.

Exit status: 0, 1 (a test failed), 2 (no such machine), 77 (skipped: clang, lld or QEMU is missing).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LEVELS = ["-O2", "-Os"]  # the second has no fast path
TESTS = ["init", "alloc", "free", "realloc", "scope", "stats", "misuse"]
MACHINES = {  # the emulator, and what clang is told
    "cortex-m0": ("qemu-system-arm -M lm3s6965evb -cpu cortex-m0 -nographic -semihosting -kernel",
                  "thumbv6m-none-eabi -meabi gnu -DMODEL_BLOCKS=512"),
    "rv32": ("qemu-riscv32", "riscv32-linux-gnu -march=rv32imac -mabi=ilp32"),
    "rv64": ("qemu-riscv64", "riscv64-linux-gnu -march=rv64imac -mabi=lp64"),
    "aarch64": ("qemu-aarch64", "aarch64-linux-gnu"),
    "i386": ("qemu-i386", "i386-linux-gnu -march=i686"),
    "powerpc": ("qemu-ppc", "powerpc-linux-gnu"),
}


def say(*words):
    print(*words, flush=True)


def scripts(source, header):
    """fuzz/corpus/arena as C."""
    files = sorted((source / "fuzz" / "corpus" / "arena").iterdir())
    with open(header, "w") as out:
        for i, file in enumerate(files):
            out.write(f"static const uint8_t script_{i}[] = {{{', '.join(map(str, file.read_bytes()))}}};\n")
        out.write("static const struct { const char *name; const uint8_t *bytes; size_t size; } scripts[] = {\n")
        out.writelines(f'    {{"{file.name}", script_{i}, sizeof script_{i}}},\n' for i, file in enumerate(files))
        out.write("};\n")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in MACHINES:
        sys.exit(f"usage: machines.py {'|'.join(MACHINES)} SOURCE-FOLDER")
    machine, source = sys.argv[1], Path(sys.argv[2]).resolve()
    emulator, target = (text.split() for text in MACHINES[machine])
    for needed in ("clang", "ld.lld", emulator[0]):
        if not shutil.which(needed):
            say(f"skipped: no {needed}")
            return 77
    here = source / "tests" / "machines"
    headers = subprocess.run(["clang", "-print-resource-dir"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        def clang(*arguments):
            subprocess.run(["clang", f"--target={target[0]}", *target[1:], "-std=c11", "-ffreestanding", "-nostdlib",
                            "-static", "-fuse-ld=lld", "-Wno-unused-command-line-argument", "-Wall", "-Wextra", "-Werror",
                            "-Wno-unused-result", "-nostdinc", "-isystem", f"{headers}/include", f"-I{here / 'include'}", f"-I{folder}",
                            f"-I{source / 'src'}", f"-I{source / 'fuzz'}", f"-I{source / 'tests' / 'arena'}", *arguments],
                           cwd=folder, check=True)

        scripts(source, f"{folder}/scripts.h")
        parts = [here / "machine.c", *sorted((source / "src" / "arena").glob("*.c")), source / "fuzz" / "pair.c"]
        board = [f"-T{here / 'cortex-m0.ld'}"] if machine == "cortex-m0" else []
        status = 0
        for level in LEVELS:
            clang(level, "-c", *parts)
            objects = sorted(Path(folder).glob("*.o"))
            for test in [*(TESTS if level == "-O2" else []), "random", "corpus"]:
                file = here / "corpus.c" if test == "corpus" else source / "tests" / "arena" / f"test_{test}.c"
                # At -O0 the fast path is called, else it is expanded.
                clang("-DROUNDS=60", level if test in ("random", "corpus") else "-O0", file, *objects, *board, "-Wl,--gc-sections",
                      "-o", test)
                ended = subprocess.run([*emulator, test], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, timeout=100)
                say(level, ended.stdout.strip())
                if ended.returncode != 0 or ": passed " not in ended.stdout:
                    say(f"{test}: it ended with status {ended.returncode}")
                    status = 1
    return status


sys.exit(main())
