#!/usr/bin/env python3
"""What the debug variant costs: programs under the ordinary library, the debug variant with and without stacks.

    bench/debug.py                        the least time of three rounds, and the most memory
    bench/debug.py --valgrind             one round of that as well, which takes minutes
    bench/debug.py --rounds 5 --only lua,perl
    bench/debug.py --count                instructions by callgrind, of a tenth of the work: the same each time

BUILD is the build folder (--build, by default build). Prints a table for doc/debug.md. Times are user and system time, of
all processes of a program together; memory is the peak of the largest process, in MiB. What is not installed is left out.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent


def programs(part, folder):
    """Commands by name; `part` of the work."""
    source = folder / "source.c"
    with open(source, "w", encoding="ascii") as file:
        subprocess.run([sys.executable, TOP / "tools/generate-source.py", "--no-main", str(int(5000 * part))],
                       stdout=file, check=True)
    many = int(1000000 * part)
    return {
        "lua": ["lua5.4", "-e", f"local t = {{}} for i = 1, {many} do t[i % 100000 + 1] = {{i, tostring(i)}} end"],
        "python3": [os.path.realpath(sys.executable), "-c",
                    f"import json\ns = json.dumps({{str(i): [i, str(i)] * 5 for i in range({many // 50})}})\n"
                    "for _ in range(10): json.loads(s)"],
        "perl": ["perl", "-e", f'my %h; for my $i (1 .. {many}) {{ $h{{$i % 50000}} = [$i, "x$i"] }}'],
        "ruby": ["ruby", "-e", f'h = {{}}; {many}.times {{ |i| h[i % 50000] = ["x#{{i}}" * 3, i.to_s] }}'],
        "gcc": ["gcc", "-O2", "-c", str(source), "-o", str(folder / "source.o")],
        "jq": ["jq", "-n", f"[range({many // 10})] | map({{a: ., b: tostring}}) | length"],
    }


def kinds(build):
    """Environment and prefix of a command, by kind."""
    debug = {"LD_PRELOAD": str(build / "preload/libcutback_preload_debug.so")}
    return {
        "ordinary": ({"LD_PRELOAD": str(build / "preload/libcutback_preload.so")}, []),
        "debug": (debug, []),
        "traces=0": (debug | {"CUTBACK_OPTIONS": "traces=0"}, []),
        "valgrind": ({}, ["valgrind", "-q", "--trace-children=yes"]),
    }


def run(command, environment):
    """Seconds and MiB of one run."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        os.execvpe(command[0], command, os.environ | {"PYTHONMALLOC": "malloc", "LC_ALL": "C"} | environment)
    _, status, used = os.wait4(child, 0)
    if status != 0:
        sys.exit(f"{command[0]} has failed: {' '.join(command)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def count(command, environment, folder):
    """Instructions, in millions, of all processes of one run."""
    # env sets LD_PRELOAD, so that valgrind itself does without
    settings = [f"{name}={value}" for name, value in environment.items()]
    subprocess.run(["valgrind", "-q", "--tool=callgrind", "--trace-children=yes", "--trace-children-skip=*/env",
                    f"--callgrind-out-file={folder}/counts.%p", "env", *settings, *command],
                   env=os.environ | {"PYTHONMALLOC": "malloc", "LC_ALL": "C", "PYTHONHASHSEED": "0",
                                     "PERL_HASH_SEED": "0"},
                   stdout=subprocess.DEVNULL, check=True)
    total = 0
    for file in folder.glob("counts.*"):
        total += int(re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.M).group(1))
        file.unlink()
    return total / 1e6


def cell(value, base, form):
    return f"{form.format(value)} ({value / base:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--valgrind", action="store_true")
    arguments = parser.parse_args()
    chosen = kinds(arguments.build.resolve())
    if arguments.count or not arguments.valgrind:
        del chosen["valgrind"]
    print("| program |" + "".join(f" {kind} |" for kind in chosen), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, command in programs(0.1 if arguments.count else 1, folder).items():
            if shutil.which(command[0]) is None or (arguments.only and name not in arguments.only.split(",")):
                continue
            cells, bases = [], None
            for environment, prefix in chosen.values():
                if arguments.count:
                    figures = [(count(command, environment, folder), "{:,.0f} M")]
                else:
                    runs = [run(prefix + command, environment) for _ in range(1 if prefix else arguments.rounds)]
                    figures = [(min(r[0] for r in runs), "{:.2f} s"), (max(r[1] for r in runs), "{:.0f} MiB")]
                bases = bases or [value for value, _ in figures]
                cells.append(", ".join(cell(value, base, form) for (value, form), base in zip(figures, bases)))
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


main()
