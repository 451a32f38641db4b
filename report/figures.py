"""What there is to show: asks cutback-replay about the traces. Nothing is drawn here."""

import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

PROCESSES_MOST = 12  # that the table names
REPLAYED_MOST = 20_000_000  # calls; a replay needs some 24 bytes of memory for each
SITES_MOST = 12


class NoReport(Exception):
    """Why there is none, in one line."""


class Found:
    """The figures of a report; see gather."""


# ---- Numbers for people -----------------------------------------------------------------------------------------


def count(number):
    return f"{number:,}"


def size(number):
    """Bytes, as of the report's text and axes."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    unit = 0
    while number >= 1024 and unit < len(units) - 1:
        number /= 1024
        unit += 1
    return f"{number:,.0f} {units[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {units[unit]}"


def percent(part, whole):
    share = 100 * part / whole if whole else 0
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{share:.1f} %" if share >= 0.05 else "below 0.1 %"


def seconds(number):
    return f"{number:.3f} s" if number < 10 else f"{number:,.1f} s"


# ---- Asking -----------------------------------------------------------------------------------------------------


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:<70.70}", end="" if text else "\r", file=sys.stderr, flush=True)


def ask(replay, *options):
    done = subprocess.run([replay, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1].removeprefix("cutback-replay: ") if said else f"{replay}: exit status {done.returncode}"
        raise NoReport(why)
    return json.loads(done.stdout)


def traces(folder):
    """Of all processes, the largest first."""
    paths = [path for path in Path(folder).iterdir() if path.is_file() and path.stat().st_size > 0]
    if not paths:
        raise NoReport("nothing was recorded: no process that cutback was preloaded into has called malloc "
                       "(cutback-run --check says more)")
    return sorted(paths, key=lambda path: path.stat().st_size, reverse=True)


def replays(given, path, summary):
    found = []
    if summary["records"] > REPLAYED_MOST:
        return found
    for name in given.malloc:
        progress(f"replaying under {name}")
        try:
            found.append((name, ask(given.replay, "--malloc", name, "--json", str(path))))
        except NoReport as reason:  # the others are still worth a page
            print(f"cutback-run: not drawn: {name}: {reason}", file=sys.stderr)
    return found


def functions(sites):
    """The names of the functions that call malloc, where addr2line finds any: {index of the site: name}."""
    tool, names, by_module = shutil.which("addr2line"), {}, {}
    for index, site in enumerate(sites):
        by_module.setdefault(site["module"], []).append(index)
    for module, indices in by_module.items():
        if tool is None or not os.path.isfile(module):
            continue
        try:
            # the byte before the address that the call returns to belongs to the call
            done = subprocess.run([tool, "-f", "-C", "-e", module, *(hex(sites[i]["offset"] - 1) for i in indices)],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
        except (subprocess.TimeoutExpired, OSError):
            continue
        lines = done.stdout.splitlines()[::2]
        names.update({i: name for i, name in zip(indices, lines) if name != "??"})
    return names


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def gather(given):
    found = Found()
    wall, cpu, peak, end = given.run.split(",", 3)
    found.program, found.version = given.program, given.version
    found.wall, found.cpu, found.peak, found.end = float(wall), float(cpu), int(peak) * 1024, end
    found.when = datetime.datetime.now().astimezone().strftime("%-d %B %Y, %H:%M")
    found.machine = f"{processor()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}"
    paths = traces(given.traces)
    progress("reading what was recorded")
    found.processes = [(ask(given.replay, "--dump=json", str(path)), path) for path in paths[:PROCESSES_MOST]]
    found.process_count = len(paths)
    found.processes.sort(key=lambda one: one[0]["allocated_bytes"], reverse=True)
    found.summary, path = found.processes[0]
    if found.summary["allocations"] == 0:
        raise NoReport("it has allocated nothing")
    found.advice = ask(given.replay, "--advise=json", str(path))
    found.sites = found.advice["sites"][:SITES_MOST]
    found.functions = functions(found.sites)
    found.replays = replays(given, path, found.summary)
    found.compared = json.loads(Path(given.compared).read_text(encoding="utf-8")) if given.compared else None
    progress("drawing")
    return found
