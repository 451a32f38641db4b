"""What the tests of this folder share: an installed tree in a scratch folder, commands, what they have found."""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import verdict  # noqa: E402
from verdict import end, fail, skip  # noqa: E402

HERE = Path(__file__).resolve().parent


def environment(**more):
    """Nor any flags from the one who builds cutback."""
    flags = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "CPPFLAGS", "CPATH", "LIBRARY_PATH", "DESTDIR")
    env = {k: v for k, v in verdict.environment().items() if k not in flags and not k.startswith("MESON")}
    return {**env, "LC_ALL": "C", **more}


def run(*command, env=None, **more):
    return subprocess.run([str(c) for c in command], text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240, env=env or environment(), **more)


def done(*command, **more):
    """Runs it and returns what it printed; if it fails, so does the test."""
    result = run(*command, **more)
    if result.returncode != 0:
        sys.exit(f"FAILED: {' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def need(program):
    if shutil.which(program) is None:
        skip(f"{program} is not installed")


def install(build, root):
    """Installs the build there; returns the prefix and the folder of libraries."""
    done("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root)
    libraries = next(root.rglob("cutback.pc")).parent.parent
    return next(root.rglob("cutback.h")).parent.parent, libraries


def use(program):
    """Runs a program; one that uses malloc prints cutback's statistics, too. Returns what is wrong, or None."""
    result = run(program, env=environment(CUTBACK_OPTIONS="stats=1"))
    heap = "malloc" in result.stdout
    if result.returncode != 0 or heap != ("returned to the system" in result.stderr):
        return f"status {result.returncode}\n{result.stdout}{result.stderr}"
    return None


def in_parallel(function, cases):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, cases))


def main(test):
    with tempfile.TemporaryDirectory(prefix="cutback-install-") as folder:
        test(Path(folder).resolve())
    end()
