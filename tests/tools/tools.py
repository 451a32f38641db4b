#!/usr/bin/env python3
"""Runs a tool on programs that have cutback, as doc/tools.md says.

    tools.py TOOL SOURCE-FOLDER BUILD-FOLDER

Each function tool_... below is a TOOL. The programs are compiled here, by the compiler that the tool is for.
Exit status: 0, 1 (a test failed), 2 (no such tool), 77 (skipped: it is not there, or does not work on this machine).
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import environment  # noqa: E402


class Skip(Exception):
    pass


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def run(*command, status=0, env=None, **more):
    """Its output, both streams, which is what it says; the status must be this (None: any)."""
    ended = subprocess.run([str(c) for c in command], cwd=SCRATCH, env=environment(**(env or {})), text=True, timeout=100,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", **more)
    if status is not None and ended.returncode != status:
        sys.exit(f"FAILED: {' '.join(map(str, command))}: status {ended.returncode}, not {status}\n{ended.stdout}")
    return ended.stdout


def expect(text, pattern, count=None):
    found = len(re.findall(pattern, text, re.M))
    if found == 0 if count is None else found != count:
        sys.exit(f"FAILED: {pattern!r} is there {found} times in:\n{text}")


def works(*command):
    """Whether the tool can do its work on this machine at all."""
    if subprocess.run(command, cwd=SCRATCH, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode != 0:
        raise Skip(f"{' '.join(command)} does not work here")


def compiled(program, *arguments, compiler="gcc"):
    output = SCRATCH / f"program{len(list(SCRATCH.glob('program*')))}"
    run(compiler, "-g", "-O1", "-fno-builtin", "-pthread", HERE / program, *arguments, "-o", output)
    return output


def preload(name="libcutback_preload.so"):
    return next(BUILD.rglob(name))


# ---- the tools --------------------------------------------------------------------------------------------------


def tool_memcheck():
    """It has the program's malloc replaced by its own, wherever that comes from, and finds what it finds on glibc's."""
    need("valgrind")
    works("valgrind", "-q", "true")
    folder = BUILD / "src"
    for how in (["-Wl,-u,malloc", folder / "libcutback_malloc.a"],
                ["-Wl,--no-as-needed", f"-L{folder}", "-lcutback_malloc", f"-Wl,-rpath,{folder}"]):
        program = compiled("faults.c", *how)
        if "cutback" not in run("nm", program) + run("ldd", program):
            sys.exit("FAILED: it is not linked with cutback")
        said = run("valgrind", "--leak-check=full", program)
        expect(said, r"Invalid read of size 1", 2)
        expect(said, r"100 bytes in 1 blocks are definitely lost", 1)
        expect(said, r"ERROR SUMMARY: 3 errors")
    expect(run("valgrind", "--leak-check=full", program, "right"), r"ERROR SUMMARY: 0 errors")


def tool_heaptrack():
    """It comes before cutback, sees every call, and cutback serves them."""
    need("heaptrack")
    said = run("heaptrack", "-o", SCRATCH / "data", compiled("threads.c"),
               env={"LD_PRELOAD": str(preload()), "CUTBACK_OPTIONS": "stats=1"})
    expect(said, r"^done$", 1)
    expect(said, r"^cutback: .*returned to the system")
    expect(said, r"allocations:\s+400\d\d$")


def tool_perf():
    """Samples in cutback's functions have their names."""
    need("perf")
    works("perf", "record", "-q", "-e", "cpu-clock", "-o", "probe.data", "true")
    program = compiled("threads.c")
    run("perf", "record", "-q", "-e", "cpu-clock", "-F", "5000", "-o", "perf.data", program, env={"LD_PRELOAD": str(preload())})
    said = run("perf", "report", "-i", "perf.data", "--stdio", "--sort", "dso,symbol")
    expect(said, r"libcutback_preload\.so +\[\.\] (malloc|free)\b")


def tool_strace():
    """The program alone gets the library, and its system calls are seen."""
    need("strace")
    works("strace", "-o", "probe.txt", "true")
    said = run("strace", "-f", "-o", "calls", "-E", f"LD_PRELOAD={preload()}", compiled("threads.c"))
    expect(said, r"^done$", 1)
    calls = (SCRATCH / "calls").read_text()
    expect(calls, r"madvise\(0x\w+, \d+, MADV_DONTNEED\)|munmap\(0x\w+, \d{7,}\)")
    expect(calls, r"openat\(.*libcutback_preload\.so", 1)


def tool_rr():
    """It records, and replays the same."""
    need("rr")
    works("rr", "record", "-o", "probe", "true")
    program = compiled("threads.c")
    expect(run("rr", "record", "-o", "recorded", program, env={"LD_PRELOAD": str(preload())}), r"^done$", 1)
    expect(run("rr", "replay", "-a", "recorded"), r"^done$", 1)


def tool_systemd():
    """The unit of doc/containers.md, by systemd itself: a user's instance, in a name space where /run is its own."""
    systemd = Path("/lib/systemd/systemd")
    if not systemd.exists():
        raise Skip("systemd is not installed")
    space = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    works(*space, "mount", "-t", "tmpfs", "none", "/run")
    page = (SOURCE / "doc" / "containers.md").read_text()
    unit = page.split("# systemctl edit SERVICE\n")[1].split("```")[0]
    folder = SCRATCH / "config" / "systemd" / "user"
    folder.mkdir(parents=True)
    (folder / "sorting.service").write_text(unit.replace("/usr/local/lib/libcutback_preload.so", str(preload())) + f"""
Environment=CUTBACK_OPTIONS=stats=1
Type=oneshot
ExecStart={shutil.which("sort")} --version
NoNewPrivileges=yes
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
StandardOutput=file:{SCRATCH}/out
StandardError=file:{SCRATCH}/err
ExecStopPost={shutil.which("touch")} {SCRATCH}/ended
[Unit]
SuccessAction=exit-force
FailureAction=exit-force
""")
    start = ("mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user && "
             f"XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME={SCRATCH}/config exec {systemd} --user --unit=sorting.service")
    said = run(*space, "sh", "-c", f"timeout -s KILL 20 sh -c '{start}'", status=None)
    if not (SCRATCH / "ended").exists():
        raise Skip(f"systemd does not start here: {said}")
    expect((SCRATCH / "out").read_text(), r"^sort ", 1)
    expect((SCRATCH / "err").read_text(), r"^cutback: .*returned to the system", 1)


def sanitized(compiler, sanitizer):
    need(compiler)
    flags = [f"-fsanitize={sanitizer}", f"-I{SOURCE / 'src'}"]
    (SCRATCH / "probe.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run([compiler, *flags, "probe.c", "-o", "probe"], cwd=SCRATCH, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skip(f"{compiler} has no -fsanitize={sanitizer}")
    for start in ([], ["setarch", "-R"]):  # on some kernels the layout of addresses fits only without randomisation
        if all(subprocess.run([*start, "./probe"], cwd=SCRATCH, stderr=subprocess.DEVNULL, check=False).returncode == 0 for _ in range(5)):
            return start, flags
    raise Skip(f"no program built with -fsanitize={sanitizer} runs here")


def beside(compiler, sanitizer, reports):
    """An arena compiled with the sanitizer: what is right passes, what is wrong is reported so."""
    start, flags = sanitized(compiler, sanitizer)
    program = compiled("beside.c", *flags, *sorted((SOURCE / "src" / "arena").glob("*.c")), compiler=compiler)
    run(*start, program, "right")
    for what, report in reports.items():
        expect(run(*start, program, what, status=None, env={f"{sanitizer[0].upper()}SAN_OPTIONS": "symbolize=0"}), report)


def tool_asan():
    for compiler in ("gcc", "clang"):
        beside(compiler, "address", {"freed": "use-after-poison", "beyond": "use-after-poison"})


def tool_msan():
    beside("clang", "memory", {what: "use-of-uninitialized-value" for what in ("freed", "beyond", "fresh")})


def tool_tsan():
    """gcc's runtime does not come first, and needs to: a line, and no crash. clang's is in the program, and goes on."""
    line = "cutback: the program has gcc's thread sanitizer, which needs a malloc of its own: run it without cutback\n"
    libraries = [preload(name) for name in ("libcutback_preload.so", "libcutback_preload_debug.so", "libcutback_preload_record.so")]
    start, flags = sanitized("gcc", "thread")
    program = compiled("threads.c", *flags)
    for library in libraries:
        said = run(*start, "env", f"LD_PRELOAD={library}", program, status=1)
        if said != line:
            sys.exit(f"FAILED: under {library.name} it says {said!r}")
    start, flags = sanitized("clang", "thread")
    program = compiled("threads.c", *flags, compiler="clang")
    expect(run(*start, "env", f"LD_PRELOAD={libraries[0]}", program), r"\Adone\n\Z")


TOOLS = {name.removeprefix("tool_"): function for name, function in globals().items() if name.startswith("tool_")}
if len(sys.argv) != 4 or sys.argv[1] not in TOOLS:
    print(f"usage: tools.py {'|'.join(TOOLS)} SOURCE-FOLDER BUILD-FOLDER", file=sys.stderr)
    sys.exit(2)
SOURCE, BUILD = (Path(folder).resolve() for folder in sys.argv[2:])
HERE = SOURCE / "tests" / "tools"
with tempfile.TemporaryDirectory(prefix="cutback-tools-") as folder:
    SCRATCH = Path(folder)
    try:
        TOOLS[sys.argv[1]]()
    except Skip as why:
        print(f"SKIP: {why}")
        sys.exit(77)
