"""Draws the pictures of a report as SVG, each once for wide and once for narrow screens.

Colours are put in as numbers that nothing else has, and then replaced by variables of the style sheet, so that a
picture follows its page from light to dark. Text stays text. What has a name (gid) gets a tooltip.
"""

import html
import io
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.ticker  # noqa: E402
import numpy  # noqa: E402

from figures import count, size  # noqa: E402

VARIABLES = ["ink", "soft", "grid", "live", "cutback", "glibc", "jemalloc", "mimalloc", "tcmalloc", "snmalloc",
             "rpmalloc", "scudo", "age1", "age2", "age3", "age4", "age5", "age6", "mark", "bump", "paper"]
COLOURS = {name: f"#0a0b{i:02x}" for i, name in enumerate(VARIABLES)}
DASHES = {"cutback": "-", "glibc": (0, (5, 2)), "jemalloc": (0, (1, 1.2)), "mimalloc": (0, (6, 2, 1, 2)),
          "tcmalloc": (0, (3, 1.5)), "snmalloc": (0, (8, 2)), "rpmalloc": (0, (2, 2)), "scudo": (0, (4, 1, 1, 1))}
DOTS = (0, (2, 1.5))
STRIPS = 60  # tooltips along a time axis
POINTS = {True: 500, False: 250}  # of a curve, in wide and narrow pictures

STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "cutback", "font.size": 9, "axes.labelsize": 9, "legend.fontsize": 8.5,
    "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.8, "axes.edgecolor": COLOURS["soft"], "axes.labelcolor": COLOURS["ink"],
    "text.color": COLOURS["ink"], "xtick.color": COLOURS["soft"], "ytick.color": COLOURS["soft"],
    "xtick.labelcolor": COLOURS["ink"], "ytick.labelcolor": COLOURS["ink"], "axes.grid": True, "axes.grid.axis": "y",
    "grid.color": COLOURS["grid"], "grid.linewidth": 0.8, "axes.axisbelow": True, "legend.frameon": False,
    "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none", "path.simplify": True,
    "axes.titlesize": 9, "axes.titlelocation": "left", "axes.titlecolor": COLOURS["soft"],
}


class Picture:
    """What the page shows: `wide` and `narrow` as SVG."""

    def __init__(self, name, label, draw):
        self.svgs = {}
        for wide in (True, False):
            with matplotlib.rc_context(STYLE):
                tips = {}
                figure = draw(wide, tips)
                self.svgs[wide] = finish(figure, f"{name}-{'wide' if wide else 'narrow'}", label, tips)
                plt.close(figure)


def finish(figure, name, label, tips):
    """The SVG element: with variables for colours, names that no other picture has, and tooltips."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"#0a0b([0-9a-f]{2})", lambda m: f"var(--{VARIABLES[int(m[1], 16)]})", svg)
    svg = re.sub(r"font: (?:(\w+) )?([\d.]+)px[^;\"]*",
                 lambda m: f"font-weight: {m[1] or 'normal'}; font-size: {m[2]}px", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
                 rf'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="\1" '
                 rf'role="img" aria-label="{html.escape(label)}">', svg, count=1)
    for gid, tip in tips.items():
        kind = "strip" if gid.startswith("strip") else "bar"
        svg = svg.replace(f'<g id="{name}-{gid}">',
                          f'<g id="{name}-{gid}" class="{kind}"><title>{html.escape(tip)}</title>', 1)
    return svg.strip()


# ---- Parts --------------------------------------------------------------------------------------------------------


def sheet(wide, height=3.3, rows=1, columns=1):
    return plt.subplots(rows, columns, figsize=(8.4 if wide else 4.3, height), layout="constrained", squeeze=False)


def legend(figure, axes, wide, columns=None):
    handles, labels = axes.get_legend_handles_labels()
    columns = columns or (min(len(labels), 6) if wide else 2)
    figure.legend(handles, labels, loc="upper left", ncol=columns, handlelength=2.2, columnspacing=1.4,
                  borderaxespad=0.1)
    rows = -(-len(labels) // columns)
    height = figure.get_size_inches()[1]
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - (0.05 + 0.19 * rows) / height))


def byte_axis(axis, most, least=0):
    """Ticks at round numbers of one unit; returns the unit's name."""
    power = 0
    while most - least >= 1024 ** (power + 1) * 2 and power < 4:
        power += 1
    unit = 1024 ** power
    steps = matplotlib.ticker.MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10])
    ticks = steps.tick_values(least / unit, max(most, least + 1) / unit)
    axis.set_major_locator(matplotlib.ticker.FixedLocator([tick * unit for tick in ticks]))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value / unit:,.6g}"))
    return ["bytes", "KiB", "MiB", "GiB", "TiB"][power]


def count_axis(axis, most):
    unit, name = (1e6, "millions of ") if most >= 2e6 else (1e3, "thousands of ") if most >= 2e3 else (1, "")
    axis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=5, integer=unit == 1))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value / unit:,.6g}"))
    return name


def thin(values, most, how):
    """At most so many of the rows, each the `how` of a stretch."""
    values = numpy.asarray(values, dtype=float)
    if len(values) <= most:
        return values
    return numpy.array([how(part) for part in numpy.array_split(values, most)])


def strip(axes, gid, left, right):
    axes.axvspan(left, right, facecolor=COLOURS["ink"], alpha=0, linewidth=0, zorder=5, gid=gid)


def range_of(low, high):
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def size_label(low, high):
    """The end of a class of sizes, which is a power of two; 0 for its start where that is 0."""
    if low == 0 or high + 1 < 1024:
        return str(high + 1) if low > 0 else "0"
    return size(high + 1).replace(".0 ", " ").replace(" bytes", "").replace("iB", "")


# ---- Memory over time -----------------------------------------------------------------------------------------------


def times_of(summary, replay):
    """When each sample of a replay was, by the share of the calls before it: the clock of a trace is coarse."""
    points = summary["live"]
    shares = numpy.linspace(0, 1, len(points))
    return numpy.interp([sample[0] / max(replay["calls"], 1) for sample in replay["samples"]], shares,
                        [point[0] for point in points])


def memory(found):
    summary = found.summary
    curves = [(name, times_of(summary, replay), numpy.array([s[3] for s in replay["samples"]]))
              for name, replay in found.replays if replay["samples"]]
    live = numpy.array(summary["live"], dtype=float)
    end = max(summary["seconds"], live[-1][0], 1e-6)
    most = max([live[:, 3].max(), *(curve.max() for _, _, curve in curves)])

    def draw(wide, tips):
        figure, grid = sheet(wide, 3.6)
        axes = grid[0][0]
        # two rows of each stretch, its least and its most, so that no peak is lost
        shown = thin(live, POINTS[wide], lambda part: [part[:, 0].mean(), part[:, 1].min(), 0, part[:, 3].max()])
        axes.fill_between(shown[:, 0], shown[:, 3], color=COLOURS["live"], alpha=0.35, linewidth=0, label="live")
        axes.plot(shown[:, 0], shown[:, 3], color=COLOURS["live"], linewidth=0.9)
        for name, when, resident in curves:
            axes.plot(when, resident, color=COLOURS.get(name, COLOURS["ink"]), linestyle=DASHES.get(name, "-"),
                      linewidth=2 if name == "cutback" else 1.4, label=f"resident, {name}",
                      zorder=4 if name == "cutback" else 3)
        edges = numpy.linspace(0, end, STRIPS + 1)
        for i, (left, right) in enumerate(zip(edges, edges[1:])):
            middle = (left + right) / 2
            tip = [f"after {middle:.3g} s", f"live: {size(numpy.interp(middle, live[:, 0], live[:, 1]))}"]
            tip += [f"{name}: {size(numpy.interp(middle, when, resident))} resident" for name, when, resident in curves]
            tips[f"strip-{i}"] = "\n".join(tip)
            strip(axes, f"strip-{i}", left, right)
        axes.set_xlim(0, end)
        axes.set_ylim(0, most * 1.06)
        axes.set_xlabel("time since the first call, s")
        axes.set_ylabel(f"memory, {byte_axis(axes.yaxis, most)}")
        legend(figure, axes, wide)
        return figure

    return Picture("memory", "Live and resident memory over time", draw)


# ---- The skyline ----------------------------------------------------------------------------------------------------


def rewinds(close):
    """Indices of the calls after which the cursor fell by more than the freed block had: over dead ones, too."""
    return [i for i in range(1, len(close))
            if close[i - 1][0] - close[i][0] > max(close[i - 1][1] - close[i][1], 0)]


def skyline(found):
    sky, slots = found.advice["skyline"], found.advice["slots"]
    points = numpy.array(sky["points"], dtype=float)
    close = sky["close"]["points"]
    most = points[:, 2].max()
    cursor = f"cursor, {count(slots)} {'slot' if slots == 1 else 'slots'}"

    def whole(axes, wide, tips):
        shown = thin(points, POINTS[wide],
                     lambda part: [part[-1, 0], part[:, 1].min(), part[:, 2].max(), part[-1, 3], part[-1, 4]])
        axes.fill_between(shown[:, 0], shown[:, 1], shown[:, 2], color=COLOURS["cutback"], linewidth=0.8, alpha=0.85,
                          label=cursor)
        axes.plot(shown[:, 0], shown[:, 3], color=COLOURS["live"], linewidth=1.3, label="in use")
        axes.plot(shown[:, 0], shown[:, 4], color=COLOURS["bump"], linewidth=1.3, linestyle=DOTS, label="plain bump")
        axes.set_xlim(0, points[-1, 0])
        axes.set_ylim(0, most * 1.12)
        axes.set_title("the whole run")
        axes.set_xlabel(f"{count_axis(axes.xaxis, points[-1, 0])}calls")
        axes.set_ylabel(f"height, {byte_axis(axes.yaxis, most)}")
        for i, part in enumerate(numpy.array_split(points, min(STRIPS, len(points)))):
            tips[f"strip-{i}"] = (f"up to call {count(int(part[-1, 0]))}\n"
                                  f"cursor: {size(part[:, 1].min())} to {size(part[:, 2].max())}\n"
                                  f"in use: {size(part[-1, 3])}\nplain bump: {size(part[-1, 4])}")
            strip(axes, f"strip-{i}", part[0, 0] if i else 0, part[-1, 0])

    def near(axes, wide):
        first = sky["close"]["first"]
        calls = range(first + 1, first + len(close) + 1)
        held, used = ([row[k] - close[0][k] for row in close] for k in (0, 1))
        falls = rewinds(close)
        axes.plot(calls, used, drawstyle="steps-post", color=COLOURS["live"], linewidth=1.2, label="in use")
        axes.plot(calls, held, drawstyle="steps-post", color=COLOURS["cutback"], linewidth=1.3, label=cursor)
        axes.plot([calls[i] for i in falls], [held[i] for i in falls], "v", color=COLOURS["mark"], markersize=4,
                  zorder=4, label="falls back over dead blocks")
        axes.plot([], [], color=COLOURS["bump"], linewidth=1.3, linestyle=DOTS, label="plain bump")
        low, high = min(held + used), max(held + used)
        margin = (high - low) * 0.06 or 1
        axes.set_title(f"{len(close)} of these calls, from their first on")
        axes.set_xlim(calls[0], max(calls[-1], calls[0] + 1))
        axes.set_ylim(low - margin, high + margin)
        axes.set_xlabel("calls")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=4 if wide else 5, integer=True))
        axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_ylabel(f"change, {byte_axis(axes.yaxis, high, low)}")

    def draw(wide, tips):
        figure, grid = sheet(wide, 3.3 if wide else 5.6, *((1, 2) if wide else (2, 1)))
        left, right = grid.flat
        whole(left, wide, tips)
        near(right, wide)
        legend(figure, right, wide, 4 if wide else 2)
        return figure

    return Picture("skyline", "Height of the cursor of an arena over the calls", draw)


# ---- Distances ------------------------------------------------------------------------------------------------------


def distances(found):
    advice = found.advice
    frees, slots = max(advice["frees"], 1), advice["slots"]
    last = max([entry["from"].bit_length() for entry in advice["distances"]], default=0)
    last = max(last, slots.bit_length() - 1)
    shares = [0.0] * (last + 1)
    for entry in advice["distances"]:
        shares[entry["from"].bit_length()] = 100 * entry["frees"] / frees

    def draw(wide, tips):
        figure, grid = sheet(wide)
        axes = grid[0][0]
        for k, share in enumerate(shares):
            low, high = (1 << (k - 1) if k else 0), (1 << k) - 1
            axes.bar(k, share, 0.8, color=COLOURS["cutback"], gid=f"bar-{k}",
                     label="frees at this distance" if k == 0 else None)
            tips[f"bar-{k}"] = f"{range_of(low, high)} live blocks above: {share:.2f} % of the frees"
        rings = [(ring["slots"].bit_length() - 0.5, 100 * ring["remembered"] / frees) for ring in advice["rings"]
                 if ring["slots"].bit_length() - 1 <= last]
        axes.plot([x for x, _ in rings], [y for _, y in rings], "-o", color=COLOURS["jemalloc"], markersize=4,
                  linewidth=1.3, label="a ring of so many slots takes back")
        mark = slots.bit_length() - 0.5
        axes.axvline(mark, color=COLOURS["mark"], linewidth=1.4, linestyle=(0, (4, 2)), zorder=2,
                     label=f"N = {count(slots)} {'slot' if slots == 1 else 'slots'}")
        labels = ["0"] + [size_label(1, (1 << (k - 1)) - 1) for k in range(1, last + 1)]
        axes.set_xticks(range(last + 1), labels, rotation=0 if wide or last < 11 else 50)
        axes.set_xlim(-0.6, last + 0.6)
        axes.set_ylim(0, 105)
        axes.set_xlabel("live blocks above the freed one")
        axes.set_ylabel("frees, %")
        legend(figure, axes, wide, 3 if wide else 1)
        return figure

    return Picture("distances", "How far from the top blocks are freed", draw)


# ---- Sizes and lifetimes --------------------------------------------------------------------------------------------

# name, and the binary digits of the lifetime, in allocations
AGES = [("at once", 1, 1), ("2–15 allocations", 2, 4), ("16–255", 5, 8), ("256–4,095", 9, 12),
        ("4,096 or more", 13, 64)]


def lifetimes(found):
    rows = []  # (from, to, by age, with those never freed last)
    for entry in found.advice["lifetimes"]:
        ages = [sum(entry["objects"][low - 1:high]) for _, low, high in AGES] + [entry["never_freed"]]
        if rows and (entry["to"] < 16 or sum(ages) * 2000 < found.advice["allocations"]):
            low, _, before = rows.pop()
            rows.append((low, entry["to"], [a + b for a, b in zip(before, ages)]))
        else:
            rows.append((entry["from"], entry["to"], ages))
    names = [name for name, _, _ in AGES] + ["never freed"]
    labels = [f"{size_label(low, low - 1)}–{size_label(1, high)}" for low, high, _ in rows]

    def draw(wide, tips):
        figure, grid = sheet(wide, 1.3 + 0.27 * len(rows))
        axes = grid[0][0]
        axes.grid(False)
        left = [0.0] * len(rows)
        for k, name in enumerate(names):
            for i, (_, _, ages) in enumerate(rows):
                share = 100 * ages[k] / sum(ages)
                axes.barh(i, share, 0.78, left=left[i], color=COLOURS[f"age{k + 1}"], gid=f"age-{k}-{i}",
                          edgecolor=COLOURS["paper"], linewidth=0.6, label=name if i == 0 else None)
                tips[f"age-{k}-{i}"] = f"{labels[i]} bytes, {name}: {share:.1f} % of {count(sum(ages))}"
                left[i] += share
        for i, (_, _, ages) in enumerate(rows):
            axes.text(101, i, count(sum(ages)), va="center", fontsize=8, color=COLOURS["soft"])
        axes.set_yticks(range(len(rows)), labels)
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of the blocks, % (right: how many)")
        axes.set_ylabel("size, bytes")
        legend(figure, axes, wide, 6 if wide else 2)
        return figure

    return Picture("lifetimes", "How long blocks live, by size", draw)


def sizes(found):
    groups = {}
    for entry in found.summary["sizes"]:
        group = groups.setdefault(max(entry["from"].bit_length(), 3), [0, 0])
        group[0] += entry["allocations"]
        group[1] += entry["bytes"]
    logs = range(min(groups), max(groups) + 1)
    allocations, total = max(found.summary["allocations"], 1), max(found.summary["allocated_bytes"], 1)

    def draw(wide, tips):
        figure, grid = sheet(wide)
        axes = grid[0][0]
        most = 0
        for k, log in enumerate(logs):
            made, held = groups.get(log, (0, 0))
            low, high = (1 << (log - 1) if log > 3 else 0), (1 << log) - 1
            for side, (share, colour, name) in enumerate(((100 * made / allocations, "cutback", "allocations"),
                                                          (100 * held / total, "jemalloc", "bytes"))):
                axes.bar(k + (side - 0.5) * 0.4, share, 0.38, color=COLOURS[colour], gid=f"size-{side}-{k}",
                         hatch=None if side == 0 else "////", edgecolor=COLOURS["paper"], linewidth=0,
                         label=name if k == 0 else None)
                tips[f"size-{side}-{k}"] = (f"{range_of(low, high)} bytes: {share:.2f} % of the {name} "
                                            f"({count(made) if side == 0 else size(held)})")
                most = max(most, share)
        axes.set_xticks([k - 0.5 for k in range(len(logs) + 1)],
                        [size_label(1, (1 << (log - 1)) - 1) if log > 3 else "0" for log in [*logs, logs[-1] + 1]],
                        rotation=0 if wide and len(logs) < 20 else 60, rotation_mode="anchor",
                        ha="center" if wide and len(logs) < 20 else "right")
        axes.set_xlim(-0.6, len(logs) - 0.4)
        axes.set_ylim(0, most * 1.1)
        axes.set_xlabel("size asked for, bytes")
        axes.set_ylabel("share, %")
        legend(figure, axes, wide, 2)
        return figure

    return Picture("sizes", "Sizes of the allocations", draw)
