"""From a results file to a Markdown table. Nothing here measures, nothing here leaves out an allocator.

A workload's figure for an allocator is the best of its rounds. Its spread is how far the median lies above that best.
An allocator whose figure is within the larger of its own and the winner's spread (and never less than the floor below)
of the winner's is tied with it. With one round the spread is not known: the floor is wider then.
"""

import math
import statistics
import sys

import costmodel

FLOOR = {"time": 0.01, "memory": 0.005}
FLOOR_OF_ONE = {"time": 0.05, "memory": 0.01}  # with a single round
GRAIN = {"time": 0, "memory": 256 << 10}  # the kernel's count of resident memory is no more exact than this


def figure(samples, metric):
    """(best, median, spread) of one allocator in one workload, or None."""
    values = [s[metric] for s in samples if s.get(metric)]
    if not values:
        return None
    best, median = min(values), statistics.median(values)
    return best, median, median / best - 1 if len(values) > 1 else None


def ratios(workload, metric):
    """{allocator: (ratio to the best, tied with the best, spread)}"""
    figures = {a: figure(s, metric) for a, s in workload["results"].items()}
    figures = {a: f for a, f in figures.items() if f}
    if not figures:
        return {}
    winner = min(figures, key=lambda a: figures[a][0])
    best, _, winner_spread = figures[winner]
    out = {}
    for a, (value, _, spread) in figures.items():
        ratio = value / best
        known = spread is not None and winner_spread is not None
        within = max(spread, winner_spread, FLOOR[metric]) if known else FLOOR_OF_ONE[metric]
        out[a] = (ratio, ratio - 1 <= within or value - best <= GRAIN[metric], spread)
    return out


def allocators(results):
    return [a["name"] for a in results["allocators"]]


def geometric_means(results, metric, kinds):
    """Over the workloads of these kinds in which every allocator has a figure: ({allocator: mean}, how many)."""
    names = allocators(results)
    logs, n = {a: 0.0 for a in names}, 0
    for w in results["workloads"]:
        if w["kind"] not in kinds:
            continue
        r = ratios(w, metric)
        if all(a in r for a in names):
            n += 1
            for a in names:
                logs[a] += math.log(r[a][0])
    return ({a: math.exp(v / n) for a, v in logs.items()} if n else {}), n


def human_time(workload, value):
    unit = workload["unit"]
    if unit == "s":
        return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.0f} ms"
    return f"{value:.1f} ns" if value < 1000 else f"{value / 1000:.1f} µs"


def human_bytes(value):
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.1f} MB"


def table(lines, head, rows):
    lines.append("| " + " | ".join(head) + " |")
    lines.append("|---|" + "---:|" * (len(head) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines.append("")


def ratio_cell(entry):
    if entry is None:
        return "–"
    ratio, tied, spread = entry
    text = f"{ratio:.2f}"
    if tied:
        return f"**{text}**" if ratio == 1 else f"{text} ="
    return text


def comparison(lines, results, metric, kinds, title):
    names = allocators(results)
    rows = []
    for w in results["workloads"]:
        if w["kind"] in kinds:
            r = ratios(w, metric)
            if not r:
                continue
            winner = min(r, key=lambda a: r[a][0])
            best = figure(w["results"][winner], metric)[0]
            spreads = [e[2] for e in r.values() if e[2] is not None]
            rows.append([w["name"].split("/", 1)[1], human_time(w, best) if metric == "time" else human_bytes(best)] +
                        [ratio_cell(r.get(a)) for a in names] + [f"{max(spreads) * 100:.0f} %" if spreads else "?"])
    if not rows:
        return
    means, n = geometric_means(results, metric, kinds)
    if means:
        low = min(means.values())
        rows.append([f"*geometric mean of {n}*", ""] +
                    [f"**{means[a]:.3f}**" if means[a] == low else f"{means[a]:.3f}" for a in names] + [""])
    lines += [f"### {title}", ""]
    table(lines, ["", "best"] + names + ["spread"], rows)


def least(samples, name):
    """The least of a figure over the samples, and whether each of these was given up before its end."""
    values = [s["figures"][name] for s in samples if name in s.get("figures", {})]
    given_up = bool(samples) and all(s["notes"].get("count_given_up") for s in samples)
    return (min(values) if values else None), given_up


def human_figure(name, value):
    unit = name.split("_", 1)[0]
    if unit == "bytes":
        return f"{value / 1e3:.1f} kB" if name == "bytes_a_thread" else f"{value / 1e6:.1f} MB"
    ns = value * 1000 if unit == "us" else value
    return f"{ns:.0f} ns" if ns < 1e4 else f"{ns / 1e3:.0f} µs" if ns < 1e7 else f"{ns / 1e6:.0f} ms"


def cliffs(lines, results):
    """The figures themselves, for many of them are 0 under some allocator; then cutback against the best other one.
    Less than 1 MB, 1 µs or 1 ns counts as that there, so that there is a ratio."""
    names, rows = allocators(results), []
    for w in results["workloads"]:
        if w["kind"] != "cliff":
            continue
        shown = dict.fromkeys(f for s in w["results"].values() for sample in s for f in sample["figures"])
        for figure_name in shown:
            grain = {"bytes": 1e6, "ns": 1, "us": 1}[figure_name.split("_", 1)[0]]
            grain = 1 if figure_name == "bytes_a_thread" else grain
            values = {a: least(w["results"].get(a, []), figure_name) for a in names}
            others = [v for a, (v, _) in values.items() if a != "cutback" and v is not None]
            ratio, given_up = values.get("cutback", (None, False))
            rows.append([w["name"].split("/", 1)[1], figure_name] + [
                "–" if v is None else ("> " if gave else "") + human_figure(figure_name, v)
                for v, gave in values.values()] + [
                "–" if ratio is None or not others else
                ("> " if given_up else "") + f"{max(ratio, grain) / max(min(others), grain):.2f}"])
    if rows:
        lines += ["### Cliffs", "", "Processor time of one call, on average or the worst, and resident memory over the start "
                  "(bench/bench_cliffs.cpp, `--list` says what each is); > where it was given up after three seconds. The last "
                  "column: cutback over the best of the others, where less than 1 MB and 1 µs or ns counts as that.", ""]
        table(lines, ["", ""] + names + ["ratio"], rows)


def wave_rows(results, cell, *last):
    """A row for each workload of waves: cell(samples) for each allocator, and last(cutback's, the lesser of glibc's and
    jemalloc's, the waves' notes) for each column at the end. Cells are (value, text)."""
    names, rows = allocators(results), []
    for w in results["workloads"]:
        if w["kind"] != "wave":
            continue
        cells = {a: cell(w["results"].get(a, [])) for a in names}
        if not any(cells.values()):
            continue
        peers = [cells[a][0] for a in ("glibc", "jemalloc") if cells.get(a)]
        notes = next(s["notes"] for samples in w["results"].values() for s in samples)
        ours = cells.get("cutback")
        rows.append([w["name"].split("/", 1)[1]] + [cells[a][1] if cells[a] else "–" for a in names] +
                    [column(ours[0], min(peers), notes) if ours and peers else "–" for column in last])
    return rows


def waves(lines, results):
    """What waves of objects cost that are freed and asked for again at once, and what is resident for it."""
    names = allocators(results)

    def figure_cell(name, text):
        def cell(samples):
            value, _ = least(samples, name)
            return None if value is None else (value, text(value))
        return cell

    def resident(samples):
        values = [least(samples, "bytes_" + when)[0] for when in ("peak", "ended", "quiet")]
        return None if None in values else (values[0], " / ".join(f"{v / 1e6:.1f}" for v in values))

    def ratio(ours, better, _):
        return f"{ours / better:.2f}" if better else "–"

    def over(ours, better, notes):
        return f"{(ours - better) / notes['count_pages']:.1f}"

    counted = max((s["notes"]["count_waves"] for w in results["workloads"] if w["kind"] == "wave"
                   for samples in w["results"].values() for s in samples), default=0)
    rows = wave_rows(results, figure_cell("count_faults", "{:.0f}".format), ratio, over)
    if not rows:
        return
    lines += ["### Waves: page faults", "", "A wave of objects is allocated, all of it is freed, and the next begins "
              f"(bench/bench_waves.cpp, `--list` says what each pattern is). Page faults of {counted:.0f} waves (of the patterns "
              "with pauses fewer); how many times those of the better of glibc and jemalloc cutback takes, and how many waves' "
              "memory that is more than it.", ""]
    table(lines, [""] + names + ["ratio", "waves over"], rows)
    lines += ["### Waves: user + system time, ms", "", "Of the waves counted above and as many again, or more where they "
              "are small; the ratio is to the better of glibc and jemalloc.", ""]
    table(lines, [""] + names + ["ratio"], wave_rows(results, figure_cell("ms_time", "{:.0f}".format), ratio))
    lines += ["### Waves: resident memory, MB", "", "Over the start: at the peak / after the last wave / after three more "
              "seconds in which 300 small objects were allocated and freed. The ratio is that of the peaks.", ""]
    table(lines, [""] + names + ["ratio"], wave_rows(results, resident, ratio))
    rows = wave_rows(results, figure_cell("calls_wave", "{:.1f}".format))
    if rows:
        lines += ["### Waves: system calls for memory, a wave", "", "brk, mmap, munmap, mremap and madvise, as strace counts them; "
                  "of a run with five waves, and as many more in proportion.", ""]
        table(lines, [""] + names, rows)


def markdown(results):
    lines = [f"## {results['date']}, {results['machine']}", "",
             f"{results['cpu']}, {results['cores']} cores, Linux {results['kernel']}; commit {results['commit'][:12]}"
             f"{' with changes' if results['dirty'] else ''}; {results['rounds']} round{'s'[:results['rounds'] != 1]}"
             f"{', quick' if results['quick'] else ''}. Allocators: " +
             ", ".join(f"{a['name']} {a['version']}" for a in results["allocators"]) + ".", "",
             "Each figure is the ratio to the best allocator of that line, best of the rounds; **1.00** is the best, "
             "`=` is within the spread of it: a tie. The spread is how far the median lies above the best, at the worst "
             "allocator (?: one round). Lower is better.", ""]
    comparison(lines, results, "time", ["program"], "Programs: user + system time")
    comparison(lines, results, "memory", ["program"], "Programs: peak resident memory (largest process)")
    comparison(lines, results, "time", ["trace"], "Traces: user + system time of the calls alone")
    comparison(lines, results, "memory", ["trace"], "Traces: peak resident memory")
    comparison(lines, results, "time", ["malloc", "drain", "start"], "Micro: time per operation")
    comparison(lines, results, "memory", ["malloc", "start"], "Micro: peak resident memory")

    names = allocators(results)
    rows = []
    for w in results["workloads"]:
        cells = []
        for a in names:
            f = figure(w["results"].get(a, []), "resident_live")
            cells.append(f"{f[0]:.2f}" if f else "–")
        if any(c != "–" for c in cells):
            rows.append([w["name"].split("/", 1)[1]] + cells)
    if rows:
        lines += ["### Resident over live memory", ""]
        table(lines, [""] + names, rows)

    rows = []
    for w in results["workloads"]:
        if w["kind"] == "drain":
            for key, label in (("freed", "after the last free"), ("idle", "one second later"),
                               ("trimmed", "after malloc_trim")):
                cells = []
                for a in names:
                    f = figure(w["results"].get(a, []), key)
                    samples = w["results"].get(a, [])
                    cells.append(f"{f[0] / 1e6:.1f}" if f else "0.0" if any(key in s for s in samples) else "–")
                rows.append([f"{w['name'].split('_', 1)[1]}, {label}"] + cells)
    if rows:
        lines += [f"### Drain: MB still resident of {results.get('drain_mb', 800)} MB freed", ""]
        table(lines, [""] + names, rows)

    rows = []
    for w in results["workloads"]:
        cells = []
        for a in names:
            f = figure(w["results"].get(a, []), "flushed")
            cells.append(f"{f[0] / 1e6:.1f}" if f else "–")
        if any(c != "–" for c in cells):
            rows.append([w["name"].split("/", 1)[1] + ", MB resident one second after FLUSHALL"] + cells)
    if rows:
        table(lines, [""] + names, rows)

    cliffs(lines, results)
    waves(lines, results)

    arena = results.get("arena")
    if arena:
        kinds = list(dict.fromkeys(r["workload"] for r in arena))
        regions = list(dict.fromkeys(r["allocator"] for r in arena))
        cell = {(r["workload"], r["allocator"]): r for r in arena}
        rows = [[a] + [f"{cell[k, a]['ns']:.1f}" if (k, a) in cell else "–" for k in kinds] +
                [f"{cell['near_lifo', a]['held'] / 1e3:.1f}" if ("near_lifo", a) in cell else "–"] for a in regions]
        lines += ["### Arena: ns per operation (median of the rounds), and what near_lifo still holds", ""]
        table(lines, [""] + kinds + ["held, kB"], rows)

    if results.get("cost"):
        names = list(dict.fromkeys(r["allocator"] for r in results["cost"]))
        measured = {a["name"]: a["sha256"] for a in results["allocators"]}
        other = [a for a in names if any(r["allocator"] == a and measured.get(a) not in (None, r["library"])
                                         for r in results["cost"])]
        lines += ["## Counted, not timed", "",
                  "Everything above was measured with a clock, on this machine with all that went on there. The following was "
                  "counted by tools/cost, on smaller inputs: it does not depend on other load, and it is a model "
                  "(doc/cost.md)." + (f" Counted with another build than was measured above: {', '.join(other)}." if other
                                      else ""), "", *costmodel.markdown(results["cost"], names)]

    if results["skipped"]:
        lines.append("Not run: " + "; ".join(f"{s['what']} ({s['why']})" for s in results["skipped"]) + ".")
    else:
        lines.append("Everything was run.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import json
    with open(sys.argv[1], encoding="utf-8") as source:
        sys.stdout.write(markdown(json.load(source)))
