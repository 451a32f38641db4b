#!/usr/bin/env python3
"""Compiles and runs every example of README.md, SECURITY.md and doc/*.md as it stands there.

    readme.py SOURCE-FOLDER BUILD-FOLDER

Blocks of C and C++ are whole programs that must compile without a warning, in strict mode, and end with status 0; or, if
they begin with the name of a program of examples/, a part of it. Of blocks of shell, each line must be of a form that is
known here, and is run: /path/to becomes the installed tree, PID a process. The tables of options must say what
src/heap/options.h says, links must lead somewhere, and what is said of tools/dev must be in its help. Nothing is left out
silently: a block or line of an unknown kind is a failure.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE, BUILD = (Path(a).resolve() for a in sys.argv[1:3])
PAGES = [SOURCE / "README.md", SOURCE / "SECURITY.md", *sorted((SOURCE / "doc").glob("*.md"))]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
failures = []
done = {}


def fail(where, text):
    failures.append(f"{where}: {text}")
    print(f"FAILED {failures[-1]}", flush=True)


def count(kind):
    done[kind] = done.get(kind, 0) + 1


def run(command, **more):
    more.setdefault("cwd", SCRATCH)
    return subprocess.run(command, text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=240, **more)


def environment(**more):
    """As a user has it: nothing preloaded, the installed tree where compilers and the dynamic linker look."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CUTBACK", "LD_", "MALLOC_"))}
    env.update(CPATH=str(INCLUDE), LIBRARY_PATH=str(LIBRARIES), LD_LIBRARY_PATH=str(LIBRARIES), LC_ALL="C",
               PATH=f"{SCRATCH}:{env['PATH']}")
    env.update(more)
    return env


# ---- the pages --------------------------------------------------------------------------------------------------


def blocks(page):
    """[(line, language, text)] of the fenced blocks, and the page without them."""
    found, rest, block = [], [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if block is None:
                block = (number, line[3:].strip(), [])
            else:
                found.append((block[0], block[1], "\n".join(block[2]) + "\n"))
                block = None
            rest.append("")
        elif block is not None:
            block[2].append(line)
            rest.append("")
        else:
            rest.append(line)
    if block is not None:
        fail(f"{page.name}:{block[0]}", "the block does not end")
    return found, rest


def hidden_blocks(page, rest):
    """Blocks by indentation would be passed over: there are to be none."""
    previous = ""
    for number, line in enumerate(rest, 1):
        if re.match(r" {4}\S", line) and not previous.strip():
            fail(f"{page.name}:{number}", "a block by indentation; use ``` and a language")
        previous = line


# ---- C and C++ --------------------------------------------------------------------------------------------------


def compiled(where, language, text):
    """With each compiler there is, by each standard; linked with the shared library and with the archive."""
    source = SCRATCH / f"program.{language}"
    source.write_text(text)
    compilers = {"c": ["gcc", "clang"], "cpp": ["g++", "clang++"]}[language]
    kinds = {"c": [["-std=c11"], ["-std=c17"]],
             "cpp": [["-std=c++17"], ["-std=c++20"], ["-std=c++17", "-fno-rtti", "-fno-exceptions"]]}[language]
    for compiler in filter(shutil.which, compilers):
        for flags in kinds:
            command = [compiler, *flags, *STRICT, "-O2", "-c", str(source), "-o", "example.o"]
            commands = [command] + [[compiler, "example.o", library, "-o", name] for name, library in
                                    (("shared", "-lcutback"), ("archived", str(LIBRARIES / "libcutback.a")))]
            for built in (run(c, env=environment()) for c in commands):
                if built.returncode != 0:
                    fail(where, f"{' '.join(built.args)}\n{built.stderr}")
                    return
            for name in ("shared", "archived"):
                ended = run([f"./{name}"], env=environment())
                if ended.returncode != 0:
                    fail(where, f"{' '.join(command)}, {name}: it ends with status {ended.returncode}")
                count("programs compiled and run")


def quoted(where, text):
    """A part of a program of examples/, which tests/examples builds and runs: it must stand there as it stands here."""
    name, _, part = text.partition("\n")
    source = SOURCE / re.fullmatch(r"/\* (examples/\w+\.c) \*/", name)[1]
    if not source.exists() or part not in source.read_text():
        fail(where, f"{source.name} does not contain these lines")
    count("parts of examples")


# ---- shell ------------------------------------------------------------------------------------------------------


def shell(command, **more):
    return run(["bash", "-euc", command], **more)


def preloaded(where, command, match):
    """The program says whose malloc it has, and with stats=1 or stats=exit the library says so."""
    result = shell(command.replace("/path/to", str(LIBRARIES)), env=environment())
    spoke = re.search(r"^cutback: .*returned to the system", result.stderr, re.M) is not None
    if result.returncode != 0 or Path(result.stdout.strip()).name != match["library"]:
        fail(where, f"status {result.returncode}, malloc is in {result.stdout}{result.stderr}")
    if spoke != (re.search("stats=(1|exit) ", command) is not None) or (result.stderr and not spoke):
        fail(where, f"on standard error: {result.stderr!r}")


def linked(where, command, match):
    (SCRATCH / "a.out").unlink(missing_ok=True)
    if match["library"] == "cutback_malloc":
        shutil.copy(SOURCE / "tests" / "readme" / "program.c", SCRATCH / "program.c")
    built = shell(command, env=environment())
    ended = run(["./a.out"], env=environment()) if built.returncode == 0 else built
    if ended.returncode != 0:
        fail(where, f"{command}: status {built.returncode}, {ended.returncode}\n{built.stderr}")
    elif match["library"] == "cutback_malloc" and "libcutback_malloc.so" not in ended.stdout:
        fail(where, f"{command}: malloc is in {ended.stdout}")


def looked_at(where, command, _):
    """The memory map of a process with the library, and of one without."""
    for preload, expected in ((str(LIBRARIES / "libcutback_preload.so"), 0), ("", 1)):
        with subprocess.Popen([SCRATCH / "program", "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=environment(LD_PRELOAD=preload)) as process:
            process.stdout.readline()
            result = shell(command.replace("PID", str(process.pid)), env=environment())
            process.stdin.close()
        if result.returncode != expected:
            fail(where, f"{command}: status {result.returncode} with LD_PRELOAD={preload}")


def signalled(where, command, _):
    """With stats=USR1 a process that gets the signal prints its statistics, and goes on."""
    with subprocess.Popen([SCRATCH / "program", "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env=environment(LD_PRELOAD=str(LIBRARIES / "libcutback_preload.so"),
                                          CUTBACK_OPTIONS="stats=USR1")) as process:
        process.stdout.readline()
        shell(command.replace("PID", str(process.pid)), env=environment())
        line = process.stderr.readline()
        process.stdin.close()
        process.stderr.read()
    if not line.endswith(", on a signal\n") or process.returncode != 0:
        fail(where, f"{command}: status {process.returncode}, {line!r}")


def through_a_tool(where, command, match):
    """The program runs as it does alone, where the tool is installed and works."""
    command = command.replace("/path/to", str(LIBRARIES))
    if shell(f"{match['tool']} {match['options']} true", env=environment()).returncode != 0:
        return
    result = shell(command, env=environment())
    if result.returncode != 0 or "/lib" not in result.stdout:
        fail(where, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")


def copy_of_tree():
    """A clone, with nothing built in it."""
    folder = SCRATCH / "clone"
    if not folder.exists():
        shutil.copytree(SOURCE, folder, symlinks=True, ignore=lambda at, names: [
            n for n in names if n in (".git", "__pycache__") or (Path(at) / n / "build.ninja").exists()])
    return folder


def dev_runs(where, command, match):
    """tools/dev run PROGRAM in a clone: configures, builds the preload library, runs the program on it."""
    result = shell(command, cwd=copy_of_tree(), env=environment(CUTBACK_OPTIONS="stats=1"))
    expected = shell(match["program"], env=environment())
    if result.returncode != 0 or result.stdout != expected.stdout:
        fail(where, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")
    if "returned to the system" not in result.stderr:
        fail(where, f"{command}: it did not run on cutback: {result.stderr}")


def dev_knows(where, command, match):
    usage = run([SOURCE / "tools" / "dev", "help"]).stdout
    if not re.search(rf"^  {match['verb']}\b", usage, re.M):
        fail(where, f"{command}: tools/dev help knows no {match['verb']}")


def dev_takes(where, command, match):
    """tools/dev knows the verb, and the program behind it each of the options."""
    dev_knows(where, command, match)
    tool = {"cost": "tools/cost", "bench": "bench/run.py"}[match["verb"]]
    usage = run(["python3", SOURCE / tool, "--help"]).stdout
    for option in re.findall(r"--[a-z]+", match["options"]):
        if not re.search(rf"^  {option}\b", usage, re.M):
            fail(where, f"{command}: {tool} knows no {option}")


def built_by_hand(where, command, match):
    """Configured in truth, built in a dry run."""
    shutil.rmtree(copy_of_tree() / "build", ignore_errors=True)
    result = shell(command.split(" && meson install")[0].replace("ninja ", "ninja -n "), cwd=copy_of_tree(), env=environment())
    if result.returncode != 0 or match["folder"] != "build" or "libcutback_preload.so" not in result.stdout:
        fail(where, f"{command}: status {result.returncode}\n{result.stdout[-2000:]}{result.stderr}")


def launched(where, command, match):
    """cutback-run of the installed tree: the verdict is good, the table is there, nothing is found."""
    shutil.copy(SOURCE / "tests" / "readme" / "program.c", SCRATCH / "program.c")
    folder = next((SCRATCH / "root").rglob("bin/cutback-run")).parent
    result = shell(command, env=environment(PATH=f"{folder}:{environment()['PATH']}"))
    expected = {"check": r"^gcc \(.*\): works$", "compare": r"^  cutback  .*(\d|tie)$",
                "debug": r"^cutback-run: no fault found"}
    if result.returncode != 0 or not re.search(expected[match["verb"]], result.stdout + result.stderr, re.M):
        fail(where, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")


def recorded(where, command, _):
    """cutback-run --record of the installed tree: a trace of each process that gcc is."""
    shutil.copy(SOURCE / "tests" / "readme" / "program.c", SCRATCH / "program.c")
    folder = next((SCRATCH / "root").rglob("bin/cutback-run")).parent
    result = shell(command, env=environment(PATH=f"{folder}:{environment()['PATH']}"))
    if result.returncode != 0 or result.stderr or len(list(SCRATCH.glob("trace.*"))) < 2:
        fail(where, f"{command}: status {result.returncode}\n{result.stderr}")


def reported(where, command, _):
    """cutback-run --report of the installed tree: a page, or the line that says what to install."""
    shutil.copy(SOURCE / "tests" / "readme" / "program.c", SCRATCH / "program.c")
    folder = next((SCRATCH / "root").rglob("bin/cutback-run")).parent
    result = shell(command, env=environment(PATH=f"{folder}:{environment()['PATH']}"))
    missing = result.returncode == 125 and "apt-get install python3-matplotlib" in result.stderr
    if not missing and (result.returncode != 0 or "the report is in page.html" not in result.stderr
                        or not (SCRATCH / "page.html").read_text().endswith("</html>\n")):
        fail(where, f"{command}: status {result.returncode}\n{result.stderr}")


def replayed(where, command, _):
    """cutback-replay of the largest of those."""
    trace = max(SCRATCH.glob("trace.*"), key=lambda path: path.stat().st_size)
    folder = next((SCRATCH / "root").rglob("bin/cutback-replay")).parent
    result = shell(command.replace("trace.1234", trace.name), env=environment(PATH=f"{folder}:{environment()['PATH']}"))
    expected = (r"^\d.* malloc \d+ = #\d+$" if "--dump " in command else r"^A ring of so many slots" if "--advise " in command
                else '"peak(_bytes)?": ' if "json" in command else r"^page faults: \d+$")
    missing = result.returncode == 127 and "no malloc of this name" in result.stderr
    if not missing and (result.returncode != 0 or result.stderr or not re.search(expected, result.stdout, re.M)):
        fail(where, f"{command}: status {result.returncode}\n{result.stdout[:2000]}{result.stderr}")


def shrunk(where, command, _):
    """Such a command with a malloc that does not fail: that is what it says."""
    trace = max(SCRATCH.glob("trace.*"), key=lambda path: path.stat().st_size)
    folder = next((SCRATCH / "root").rglob("bin/cutback-replay")).parent
    shutil.copy(LIBRARIES / "libcutback_preload.so", SCRATCH / "libother.so")
    result = shell(command.replace("trace.1234", trace.name), env=environment(PATH=f"{folder}:{environment()['PATH']}"))
    if result.returncode != 125 or "does not fail" not in result.stderr:
        fail(where, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")


def installed(where, command, _):
    """It was done at the start, for the tree that is tested; here what it left."""
    absent = [n for n in ("libcutback.so", "libcutback.a", "libcutback_malloc.so", "libcutback_malloc.a",
                          "libcutback_preload.so", "libcutback_preload_debug.so", "libcutback_preload_record.so",
                          "libcutback_only.so")
              if not (LIBRARIES / n).exists()]
    absent += [n for n in ("cutback.h", "cutback.hpp") if not (INCLUDE / n).exists()]
    absent += [n for n in ("bin/cutback-run", "cutback-run.1", "cutback.7", "bin/cutback-replay", "cutback-replay.1",
                          "share/cutback/report.py")
               if not any((SCRATCH / "root").rglob(n))]
    if absent:
        fail(where, f"{command} does not install {', '.join(absent)}")


def pkg_config():
    """A pkg-config, first in PATH, that knows the installed tree."""
    prefix = INCLUDE.parent
    command = f'PKG_CONFIG_LIBDIR={LIBRARIES}/pkgconfig exec {shutil.which("pkg-config")} --define-variable=prefix={prefix}'
    (SCRATCH / "pkg-config").write_text(f'#!/bin/sh\n{command} "$@"\n')
    (SCRATCH / "pkg-config").chmod(0o755)


def by_pkg_config(where, command, match):
    """program is a user of the arena, malloc one that fails unless it has cutback's."""
    pkg_config()
    source = {"program": "arena", "malloc": "malloc"}[match["program"]]
    language = match["language"]
    shutil.copy(SOURCE / "tests" / "install" / f"{source}.{language}", SCRATCH / f"{match['program']}.{language}")
    (SCRATCH / "a.out").unlink(missing_ok=True)
    built = shell(command, env=environment(CPATH="", LIBRARY_PATH=""))
    ended = run(["./a.out"], env=environment()) if built.returncode == 0 else built
    if ended.returncode != 0 or built.stderr:
        fail(where, f"{command}: status {built.returncode}, {ended.returncode}\n{ended.stdout}{built.stderr}")


def path_by_pkg_config(where, command, _):
    pkg_config()
    result = shell(command, env=environment())
    if not Path(result.stdout.strip()).is_file():
        fail(where, f"{command}: {result.stdout}{result.stderr}")


SHELL = [
    (r"(CUTBACK_OPTIONS=\S+ )?LD_PRELOAD=/path/to/(?P<library>libcutback_\w+\.so) program", preloaded),
    (r"cc program\.c -l(?P<library>cutback(_malloc)?)", linked),
    (r"c\+\+ -std=c\+\+17 program\.cpp -l(?P<library>cutback)", linked),
    (r"(cc|c\+\+ -std=c\+\+17)( -static)? (?P<program>program|malloc)\.(?P<language>c|cc)( \$\(pkg-config [^)]*\))+",
     by_pkg_config),
    (r"pkg-config --variable=\w+ cutback-preload", path_by_pkg_config),
    (r"grep libcutback /proc/PID/maps", looked_at),
    (r"kill -USR1 PID", signalled),
    (r"(LD_PRELOAD=/path/to/libcutback_preload\.so )?(?P<tool>valgrind|heaptrack)(?P<options>( --leak-check=full)?) program",
     through_a_tool),
    (r"(?P<tool>strace) (?P<options>-f) -E LD_PRELOAD=/path/to/libcutback_preload\.so program", through_a_tool),
    (r"\./tools/dev run (?P<program>gcc --version)", dev_runs),
    (r"\./tools/dev (?P<verb>test|package)( services)?", dev_knows),
    (r"\./tools/dev (?P<verb>cost|bench)(?P<options>( --[a-z]+( [A-Za-z,.]+)?)*)", dev_takes),
    (r"meson setup (?P<folder>\w+)( -Dtests=disabled)? && ninja -C (?P=folder)( && meson install -C (?P=folder))?", built_by_hand),
    (r"meson install -C build", installed),
    (r"cutback-run --(?P<verb>check|compare|debug) (-n \d+ )?gcc( -O2 -c program\.c)?", launched),
    (r"cutback-run --record trace\.%p gcc -O2 -c program\.c", recorded),
    (r"cutback-run --report page\.html (--compare -n 3 )?gcc -O2 -c program\.c", reported),
    (r"cutback-replay (--malloc \w+ |--(dump|advise)(=json)? |--json )?trace\.1234", replayed),
    (r"cutback-replay --malloc \./libother\.so --check all --shrink small\.trace trace\.1234", shrunk),
]


def shell_lines(where, line, text):
    for number, command in enumerate(text.splitlines(), line + 1):
        command = re.sub(r"\s+#.*", "", command).strip()
        for pattern, check in SHELL:
            match = re.fullmatch(pattern, command)
            if match:
                check(f"{where}:{number}", command, match)
                count("lines of shell")
                break
        else:
            if command:
                fail(f"{where}:{number}", f"no rule in readme.py for: {command}")


# ---- what is said in the text -------------------------------------------------------------------------------------


def size(text):
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]] if match else None


def options_of_header():
    """{name: (words or None, default as the parser takes it, or a number)}; of a path, the default is empty"""
    text = (SOURCE / "src" / "heap" / "options.h").read_text()
    enums = [e.replace(" ", "").split(",") for e in re.findall(r"enum cb_\w+ \{ (.*?) \}", text)]
    found = {}
    for kind, name, rest in re.findall(r"^    (WORD|SIZE|FLAG)\((\w+), (.*?)\) *(?:/\*.*?\*/)? *\\?$", text, re.M):
        if kind == "WORD":
            default, words = rest.split(",")[0], re.findall(r'"(\w+)"', rest)
            index = next(e.index(default) for e in enums if default in e)
            found[name] = (words, words[index])
        else:
            shift = re.fullmatch(r"(?:\(size_t\))?(\d+)(?: << (\d+))?", rest)
            found[name] = (["0", "1"] if kind == "FLAG" else None, int(shift[1]) << int(shift[2] or 0))
    found.update({name: (["0", "1", "exit", "SIGNAL"], "0") for name in re.findall(r"^    WHEN\((\w+)\)", text, re.M)})
    found.update({name: (["PATH"], "") for name in re.findall(r"^    PATH\((\w+)\)", text, re.M)})
    return found


PLACEHOLDERS = {"BYTES": "1M", "SIZE": "1M", "SIGNAL": "USR1", "PATH": "file"}


def option_row(where, cells, known, documented):
    """`name=a\\|b` or `name`, and the default; or `name=value`s alone."""
    for entry in re.findall(r"`([^`]+)`", cells[0]):
        name, _, values = entry.partition("=")
        if name not in known:
            fail(where, f"there is no option {name}")
            continue
        words, default = known[name]
        documented.setdefault(name, set()).update(values.replace("\\", "").split("|") if values else [])
        given = re.findall(r"`([^`]+)`", cells[1])
        if default == "" and given:
            fail(where, f"{name} has no default")
        if given and (size(given[0]) if isinstance(default, int) else given[0]) != default:
            fail(where, f"the default of {name} is not {given[0]}")
        if "|" in values and set(values.replace("\\", "").split("|")) != set(words or []):
            fail(where, f"{name} is one of {words}")


def takes(pair):
    """Whether the library takes the option without a word."""
    library = "libcutback_preload_record.so" if pair.startswith("record") else "libcutback_preload.so"
    result = run([SCRATCH / "program"], env=environment(CUTBACK_OPTIONS=pair, LD_PRELOAD=str(LIBRARIES / library)))
    return result.returncode == 0 and "CUTBACK_OPTIONS:" not in result.stderr


def options(pages):
    known, documented = options_of_header(), {}
    if takes("nonsense=1"):
        fail("options", "the library says nothing of an unknown option")
    for page, rest in pages:
        table = False
        for number, line in enumerate(rest, 1):
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            if line.startswith("| option |"):
                table = True
            elif not line.startswith("|"):
                table = False
            elif table and not line.startswith("|---"):
                option_row(f"{page.name}:{number}", cells, known, documented)
        for name, value in re.findall(r"`([a-z_]+)=(\w+)`", "\n".join(rest)):
            if name in known:
                documented.setdefault(name, set()).add(value)
    for name, (words, _) in known.items():
        if name not in documented:
            fail("options", f"{name} is in no table of options")
            continue
        for value in sorted(documented[name] | set(words or ["1M"])):
            if not takes(f"{name}={PLACEHOLDERS.get(value, value)}"):
                fail("options", f"{name}={value} is not taken")
            count("options")


def anchors(page):
    """Those of its headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)}


def links(pages):
    for page, rest in pages:
        for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", "\n".join(rest)):
            path = page.parent / target if target else page
            if "://" not in target and (not path.exists() or (anchor and anchor not in anchors(path))):
                fail(page.name, f"a link to {target}{anchor and '#'}{anchor}, which is not there")
            count("links")


def commands(pages):
    usage = run([SOURCE / "tools" / "dev", "help"]).stdout
    for page, rest in pages:
        for verb in re.findall(r"`(?:\./)?tools/dev (\w+)", "\n".join(rest)):
            if not re.search(rf"^  {verb}\b", usage, re.M):
                fail(page.name, f"tools/dev help knows no {verb}")
            count("commands")


def report(page, rest):
    """The line that the README shows for a double free is the one that is printed, but for the address."""
    shown = re.search(r"`(cutback: free\(\): double free of .*?)`", "\n".join(rest))
    result = run([SCRATCH / "program", "twice"], env=environment(LD_PRELOAD=str(LIBRARIES / "libcutback_preload.so")))
    address = re.compile("0x[0-9a-f]+")
    if not shown or address.sub("", shown[1]) != address.sub("", result.stderr.strip()):
        fail(page.name, f"a double free is reported as {result.stderr!r}")
    if result.returncode != -signal.SIGABRT:
        fail(page.name, f"after a double free the status is {result.returncode}")


def main():
    install = run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet", "--destdir", str(SCRATCH / "root")],
                  cwd=SOURCE)
    if install.returncode != 0:
        sys.exit(f"meson install: {install.stdout}{install.stderr}")
    global LIBRARIES, INCLUDE
    LIBRARIES = next((SCRATCH / "root").rglob("libcutback_preload.so")).parent
    INCLUDE = next((SCRATCH / "root").rglob("cutback.h")).parent
    subprocess.run(["cc", SOURCE / "tests" / "readme" / "program.c", "-o", SCRATCH / "program"], check=True)
    pages = []
    for page in PAGES:
        found, rest = blocks(page)
        hidden_blocks(page, rest)
        pages.append((page, rest))
        for line, language, text in found:
            if text.startswith("/* examples/"):
                quoted(f"{page.name}:{line}", text)
            elif language in ("c", "cpp"):
                compiled(f"{page.name}:{line}", language, text)
            elif language == "sh":
                shell_lines(page.name, line, text)
            elif language != "":
                fail(f"{page.name}:{line}", f"a block of {language}, which is not known here")
    options(pages)
    links(pages)
    commands(pages)
    report(*pages[0])
    print(", ".join(f"{n} {kind}" for kind, n in done.items()))
    return 1 if failures else 0


with tempfile.TemporaryDirectory(prefix="cutback-readme-") as folder:
    SCRATCH = Path(folder)
    STATUS = main()
sys.exit(STATUS)
