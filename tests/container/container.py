#!/usr/bin/env python3
"""Does what container/Dockerfile says, without Docker and without a network.

    container.py SOURCE-FOLDER

Stage 1: the commands of its RUN lines, in a root that is this system's with a layer over it, so that they may write where
they like. The packages that it installs must be installed here. Stage 2: a root that holds a program, what ldd says that
it needs, and what the stage copies; no /proc, no /dev, no /etc. The program must run there on cutback, by the stage's ENV
alone.

It runs itself again in a name space of its own, whose mounts end with it.
Exit status: 0, 1, 77 (skipped: no such name space can be had, or no overlay in it).
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import skip  # noqa: E402

SOURCE = Path(sys.argv[1]).resolve()


def fail(why):
    sys.exit(f"FAILED: {why}")


def run(*command, **more):
    return subprocess.run([str(c) for c in command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=150, check=False, **more)


def instructions():
    """[[(word, rest), ...], ...]: those of each stage."""
    text = (SOURCE / "container" / "Dockerfile").read_text()
    stages = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        elif word and word != "#":
            stages[-1].append((word, rest))
    return stages


def check_installed(command):
    """The packages of `apt-get install` are here."""
    packages = [w for w in shlex.split(command.partition("apt-get install")[2]) if not w.startswith("-")]
    if not packages:
        fail(f"this installs nothing: {command}")
    if shutil.which("dpkg-query"):
        said = run("dpkg-query", "-W", "-f", "${db:Status-Status}\n", *packages)
        if said.returncode != 0 or set(said.stdout.split()) != {"installed"}:
            fail(f"not all installed here: {' '.join(packages)}\n{said.stdout}{said.stderr}")


def layered_root(scratch):
    """This system's root, with an empty layer over it."""
    over = scratch / "over"
    over.mkdir()
    if run("mount", "-t", "tmpfs", "none", over).returncode != 0:
        skip("nothing can be mounted here")
    for name in ("up", "work", "root"):
        (over / name).mkdir()
    options = f"lowerdir=/,upperdir={over}/up,workdir={over}/work"
    if run("mount", "-t", "overlay", "overlay", "-o", options, over / "root").returncode != 0:
        skip("no overlay can be mounted here")
    for name in ("dev", "proc"):
        if run("mount", "--rbind", f"/{name}", over / "root" / name).returncode != 0:
            skip(f"/{name} cannot be mounted here")
    return over / "root"


def first_stage(stage, root):
    folder = "/"
    for word, rest in stage:
        if word == "COPY" and rest.split()[0] == ".":
            shutil.copytree(SOURCE, root / rest.split()[1].lstrip("/"), symlinks=True, ignore=lambda at, names: [
                n for n in names if n in (".git", "__pycache__") or (Path(at) / n / "build.ninja").exists()])
        elif word == "WORKDIR":
            folder = rest
        elif word == "RUN" and "apt-get install" in rest:
            check_installed(rest)
        elif word == "RUN":
            ended = run("chroot", root, "sh", "-ec", f"cd {folder}; {rest}")
            if ended.returncode != 0:
                fail(f"RUN {rest}: status {ended.returncode}\n{ended.stdout[-4000:]}{ended.stderr}")
        else:
            fail(f"{word} {rest} is not known here")


def second_stage(stage, built, root):
    """Its files, from the first stage. Returns what it puts into the environment."""
    environment = {}
    for word, rest in stage:
        if word == "COPY":
            come_from, file, folder = rest.split()
            if come_from != "--from=cutback":
                fail(f"COPY {rest}")
            (root / folder.lstrip("/")).mkdir(parents=True)
            shutil.copy(built / file.lstrip("/"), root / folder.lstrip("/"))
        elif word == "ENV":
            environment.update([rest.split("=", 1)])
        elif word != "CMD":
            fail(f"{word} {rest} is not known here")
    return environment


def put_in(program, root):
    """The program and its libraries."""
    for file in (program, *re.findall(r"(/\S+) \(0x", run("ldd", program).stdout)):
        (root / file.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / file.lstrip("/"))


def main(scratch):
    first, second = instructions()
    built, root = layered_root(scratch), scratch / "root"
    first_stage(first, built)
    root.mkdir()
    environment = second_stage(second, built, root)
    program = os.path.realpath(shutil.which("sort"))
    put_in(program, root)
    numbers = sorted(range(100000), key=lambda i: i * 7919 % 100003)
    (root / "numbers").write_text("".join(f"{i}\n" for i in numbers))
    for more, spoken in (({}, r"\Z"), ({"CUTBACK_OPTIONS": "stats=1"}, r"(cutback: .*\n)*cutback: returned to the system")):
        ended = run(program, "-n", "/numbers", env={**environment, **more}, cwd="/", preexec_fn=lambda: os.chroot(root))
        if ended.returncode != 0 or ended.stdout != "".join(f"{i}\n" for i in range(100000)):
            fail(f"{program}: status {ended.returncode}\n{ended.stderr}")
        if not re.match(spoken, ended.stderr):
            fail(f"{program} with {more}: {ended.stderr!r}")


if os.environ.get("CUTBACK_INSIDE") is None:
    space = ["--mount"] if os.getuid() == 0 else ["--user", "--map-root-user", "--mount"]
    if subprocess.run(["unshare", *space, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        skip("unshare makes no name space here")
    with tempfile.TemporaryDirectory(prefix="cutback-container-") as folder:
        status = subprocess.run(["unshare", *space, sys.executable, *sys.argv],
                                env={**os.environ, "CUTBACK_INSIDE": folder}, check=False).returncode
    sys.exit(status)
main(Path(os.environ["CUTBACK_INSIDE"]))
