#!/usr/bin/env python3
"""Draws the pictures of a results file, from that file alone.

    bench/plot.py bench/results/DATE-MACHINE.json [--into FOLDER]

Writes, as SVG and PNG beside the results file: STEM-time (ratio to the best, per workload), STEM-memory, STEM-pareto
(time against memory, geometric means, with the Pareto front) and STEM-drain (resident memory while everything is
freed); of the results of bench/longrun.py, STEM-resident (resident memory over time). Every allocator has the same
size of mark and width of line. Needs matplotlib.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import report  # noqa: E402

import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.ticker  # noqa: E402

# Okabe and Ito's colours, which stay apart for the colour-blind; the marks tell them apart without any colour.
STYLES = [("#000000", "o", "-"), ("#E69F00", "s", "--"), ("#56B4E9", "^", "-."), ("#CC79A7", "D", ":"),
          ("#D55E00", "v", "-"), ("#009E73", "P", "--"), ("#0072B2", "X", "-."), ("#8B7500", "<", ":")]
KNOWN = ["glibc", "jemalloc", "mimalloc", "tcmalloc", "cutback"]


LEGEND = 0.55  # inches above the axes, for a title and a line of names


def style_of(name, names):
    order = KNOWN + [n for n in names if n not in KNOWN]
    return STYLES[order.index(name) % len(STYLES)]


def caption(results):
    rounds = f"{results['rounds']} rounds{', quick' if results['quick'] else ''}, " if "rounds" in results else ""
    return (f"{results['date']}, {results['machine']}: {results['cpu']}, {results['cores']} cores, {rounds}"
            f"commit {results['commit'][:10]}")


def finish(figure, results, stem, name):
    figure.text(0.01, 0.004, caption(results), fontsize=7, color="#555555", ha="left", va="bottom")
    for suffix in ("svg", "png"):
        path = stem.parent / f"{stem.name}-{name}.{suffix}"
        figure.savefig(path, dpi=120, metadata={"Date": None} if suffix == "svg" else {"Software": None})
    plt.close(figure)
    print(stem.parent / f"{stem.name}-{name}.svg")


def legend(figure, handles, labels, title):
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 1.0), ncol=min(7, len(labels)), fontsize=9,
                  frameon=False, title=title, title_fontsize=11, borderaxespad=0.2)


def ratio_rows(results, metric, kinds):
    """[(label, {allocator: ratio} or None for a heading)]"""
    rows = []
    for kind, heading in kinds:
        group = [(w["name"].split("/", 1)[1], {a: e[0] for a, e in report.ratios(w, metric).items()})
                 for w in results["workloads"] if w["kind"] == kind]
        group = [(label, r) for label, r in group if r]
        if group:
            rows += [(heading, None)] + group
            means, n = report.geometric_means(results, metric, [kind])
            if n > 1:
                rows.append(("geometric mean", means))
    return rows


def draw_rows(axes, rows, names):
    """A row per workload, a mark per allocator; within the row a little apart, so that none hides another."""
    top = max(2.0 if len(rows) > 1 else 1.5, 1.12 * max(v for _, r in rows if r for v in r.values()))
    for i, (label, r) in enumerate(rows):
        y = len(rows) - 1 - i
        if r is None:
            continue
        axes.axhline(y, color="#e4e4e4", linewidth=0.8, zorder=0)
        if label == "geometric mean":
            axes.axhspan(y - 0.5, y + 0.5, color="#f2f2ea", zorder=-1)
        for k, a in enumerate(names):
            if a in r:
                colour, mark, _ = style_of(a, names)
                axes.plot(r[a], y + 0.11 * ((len(names) - 1) / 2 - k), mark, color=colour, markersize=5.5,
                          markeredgecolor="white", markeredgewidth=0.5, zorder=3)
    axes.set_yticks([len(rows) - 1 - i for i in range(len(rows))], [label for label, _ in rows], fontsize=9)
    for tick, (_, r) in zip(axes.get_yticklabels(), rows):
        tick.set_fontweight("normal" if r else "bold")
    axes.set_ylim(-0.8, len(rows) - 0.4)
    axes.set_xscale("log")
    axes.set_xlim(top ** -0.025, top)
    ticks = [t for t in (1, 1.1, 1.2, 1.3, 1.5, 2, 3, 4, 5, 7, 10, 20, 50, 100, 200)
             if t <= top and (top < 4 or t not in (1.1, 1.2, 1.3))]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=9)
    axes.minorticks_off()
    axes.axvline(1, color="#888888", linewidth=1, zorder=1)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def draw_ratios(results, metric, title, stem, name):
    """Programs above, micro-benchmarks below, each on a scale of its own."""
    names = report.allocators(results)
    panels = [ratio_rows(results, metric, [("program", "programs")]),
              ratio_rows(results, metric, [("malloc", "micro"), ("start", "start of a process")])]
    panels = [rows for rows in panels if rows]
    if not panels:
        return
    height = 1.2 + sum(0.55 + 0.23 * len(rows) for rows in panels)
    figure, all_axes = plt.subplots(len(panels), 1, figsize=(8, height), squeeze=False, layout="constrained",
                                    height_ratios=[len(rows) for rows in panels])
    figure.get_layout_engine().set(rect=(0, 0.2 / height, 1, 1 - (0.2 + LEGEND) / height))
    for axes, rows in zip(all_axes[:, 0], panels):
        draw_rows(axes, rows, names)
    all_axes[-1][0].set_xlabel("ratio to the best allocator of the line (1 is the best; logarithmic)", fontsize=9)
    marks = [plt.Line2D([], [], color=style_of(a, names)[0], marker=style_of(a, names)[1], linestyle="", label=a)
             for a in names]
    legend(figure, marks, names, title)
    finish(figure, results, stem, name)


def draw_pareto(results, stem):
    """Geometric mean of time against that of memory; nobody is both faster and smaller than those on the front."""
    names = report.allocators(results)
    panels = []
    for kinds, label in ((["program"], "programs"), (["malloc"], "micro")):
        time, n = report.geometric_means(results, "time", kinds)
        memory, m = report.geometric_means(results, "memory", kinds)
        if n and m:
            panels.append((f"{label} ({n})", time, memory))
    if not panels:
        return
    figure, all_axes = plt.subplots(1, len(panels), figsize=(8, 4.2), squeeze=False, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    for axes, (label, time, memory) in zip(all_axes[0], panels):
        front = sorted((time[a], memory[a]) for a in names
                       if not any((time[b] <= time[a] and memory[b] <= memory[a] and
                                   (time[b], memory[b]) != (time[a], memory[a])) for b in names))
        xs, ys = [], []
        for i, (x, y) in enumerate(front):
            if i:
                xs.append(x)
                ys.append(front[i - 1][1])
            xs.append(x)
            ys.append(y)
        high_x, high_y = max(time.values()), max(memory.values())
        low_x, low_y = min(time.values()), min(memory.values())
        margin_x, margin_y = 0.15 * (high_x - low_x) + 0.02, 0.15 * (high_y - low_y) + 0.02
        axes.plot([front[0][0]] + xs + [high_x + margin_x], [high_y + margin_y] + ys + [front[-1][1]], color="#bbbbbb",
                  linewidth=1, zorder=1)
        for a in names:
            colour, mark, _ = style_of(a, names)
            axes.plot(time[a], memory[a], mark, color=colour, markersize=9, zorder=3)
            right = time[a] > low_x + 0.7 * (high_x - low_x)
            axes.annotate(a, (time[a], memory[a]), xytext=(-8 if right else 8, 5), textcoords="offset points",
                          ha="right" if right else "left", fontsize=9)
        axes.set_xlim(low_x - margin_x, high_x + margin_x)
        axes.set_ylim(low_y - margin_y, high_y + margin_y)
        axes.set_title(label, fontsize=10)
        axes.set_xlabel("time, ratio to the best", fontsize=9)
        axes.set_ylabel("peak memory, ratio to the best", fontsize=9)
        axes.grid(color="#eeeeee")
        axes.tick_params(labelsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.suptitle("Time and memory, geometric means (lower left is better; grey: the Pareto front)", fontsize=11)
    finish(figure, results, stem, "pareto")


def draw_drain(results, stem):
    """Resident memory over time: fill, free everything, a second idle, malloc_trim. Time runs in equal stretches for
    filling, freeing and idling, since allocators take differently long."""
    names = report.allocators(results)
    drains = [w for w in results["workloads"] if w["kind"] == "drain"]
    if not drains:
        return
    figure, all_axes = plt.subplots(1, len(drains), figsize=(8, 4), sharey=True, squeeze=False, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 1 - 0.05 - LEGEND / 4))
    for axes, w in zip(all_axes[0], drains):
        for a in names:
            samples = w["results"].get(a)
            if not samples:
                continue
            sample = samples[len(samples) // 2]
            full, freed, idle = sample["marks"]
            xs, ys = [], []
            for t, resident in sample["timeline"]:
                if t <= full:
                    x = t / full
                elif t <= freed:
                    x = 1 + (t - full) / (freed - full)
                elif t <= idle:
                    x = 2 + (t - freed) / (idle - freed)
                else:
                    x = 3 + min(0.4, 0.4 * (t - idle) / 0.25)
                xs.append(x)
                ys.append(resident / 1e6)
            colour, mark, line = style_of(a, names)
            axes.plot(xs, ys, linestyle=line, color=colour, linewidth=1.8, label=a, marker=mark, markersize=4.5,
                      markevery=[len(xs) - 1])
        for x, text in ((0.5, "fill"), (1.5, "free"), (2.5, "1 s idle"), (3.25, "trim")):
            axes.text(x, 1.0, text, fontsize=8, ha="center", va="top", color="#555555",
                      transform=axes.get_xaxis_transform())
        for x in (1, 2, 3):
            axes.axvline(x, color="#dddddd", linewidth=1, zorder=0)
        axes.set_title("freed in " + {"lifo": "LIFO order", "fifo": "FIFO order", "random": "random order"}.get(
            w["name"].rsplit("_", 1)[1], w["name"]), fontsize=10)
        axes.set_xticks([])
        axes.set_xlim(0, 3.45)
        axes.set_ylim(0, None)
        axes.tick_params(labelsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    low, high = all_axes[0][0].get_ylim()
    all_axes[0][0].set_ylim(low, high * 1.08)
    all_axes[0][0].set_ylabel("resident memory, MB over the start", fontsize=9)
    handles, labels = all_axes[0][0].get_legend_handles_labels()
    legend(figure, handles, labels, f"{results.get('drain_mb', 800)} MB of small objects, all freed")
    finish(figure, results, stem, "drain")


def draw_services(results, stem):
    """Resident memory of services over time, a panel for each kind."""
    names = [a["name"] for a in results["allocators"]]
    kinds = {"redis": "redis-server: keys that expire, busy and quiet by turns", "python": "python: a web-like loop"}
    figure, all_axes = plt.subplots(len(kinds), 1, figsize=(8, 6.4), sharex=True, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 1 - 0.03 - LEGEND / 6.4))
    for axes, (kind, title) in zip(all_axes, kinds.items()):
        for s in (s for s in results["services"] if s["load"] == kind):
            colour, mark, line = style_of(s["allocator"], names)
            xs, ys = [t / 60 for t, _ in s["samples"]], [b / 1e6 for _, b in s["samples"]]
            axes.plot(xs, ys, linestyle=line, color=colour, linewidth=1.5, marker=mark, markersize=4,
                      markevery=[len(xs) - 1], label=s["allocator"])
            if s["allocator"] == names[-1] and s.get("live"):
                axes.fill_between([t / 60 for t, _ in s["live"]], [b / 1e6 for _, b in s["live"]], color="#eeeeee",
                                  zorder=0)
                axes.text(0.995, 0.02, "grey: what redis-server says it uses", fontsize=8, color="#555555", ha="right",
                          va="bottom", transform=axes.transAxes)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel("resident, MB", fontsize=9)
        axes.set_ylim(0, None)
        axes.set_xlim(0, results["seconds"] / 60)
        axes.grid(axis="y", color="#eeeeee")
        axes.tick_params(labelsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    all_axes[-1].xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(10, integer=True))
    all_axes[-1].set_xlabel("minutes", fontsize=9)
    handles, labels = all_axes[0].get_legend_handles_labels()
    legend(figure, handles, labels, "Resident memory over time")
    finish(figure, results, stem, "resident")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("results", type=Path)
    p.add_argument("--into", type=Path, help="the folder for the pictures (that of the results)")
    args = p.parse_args()
    results = json.loads(args.results.read_text())
    stem = (args.into or args.results.parent) / args.results.stem
    stem.parent.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"font.family": "DejaVu Sans", "svg.hashsalt": "cutback", "figure.facecolor": "white"})
    if "services" in results:
        draw_services(results, stem)
        return
    draw_ratios(results, "time", "Time", stem, "time")
    draw_ratios(results, "memory", "Peak resident memory", stem, "memory")
    draw_pareto(results, stem)
    draw_drain(results, stem)


if __name__ == "__main__":
    main()
