"""The model of cost behind tools/cost: the formula, the reader of cachegrind's output, and the tables.

Nothing here measures. What the model is for, and what it cannot see, is in doc/cost.md.

A result is what one program did under one allocator, in raw counts:

    events     {name: count}: cachegrind's events of the whole program
    functions  {name: {event: count}}: of the functions of the allocator; None where they are not known
    faults, calls, peak: page faults, system calls, peak resident bytes, counted by the kernel in runs without cachegrind
"""

import math

# What cachegrind simulates: the caches of one core of a present server processor, and its own branch predictor.
CACHES = {"I1": "49152,12,64", "D1": "49152,12,64", "LL": "2097152,16,64"}  # bytes, ways, bytes of a line

# cycles = the sum over the parts of weight * (the sum of the counts)
PARTS = [
    # name, weight in cycles, counts, the reason for the weight
    ("instructions", 1 / 4, ("Ir",), "a present core completes four instructions a cycle while nothing stops it"),
    ("L1", 14, ("I1mr", "D1mr", "D1mw"), "a miss of the first cache that the second serves"),
    ("L2", 60, ("ILmr", "DLmr", "DLmw"), "a miss of the second cache, served by the third or by memory, partly overlapped"),
    ("branches", 18, ("Bcm", "Bim"), "the refill of the pipeline after a wrong guess"),
    ("faults", 1500, ("faults",), "entry, a zeroed page, the page table, return: half a microsecond at 3 GHz"),
    ("calls", 600, ("calls",), "entry and return with today's mitigations, and a short call's own work"),
]
SIMULATED = [name for name, *_ in PARTS if name not in ("faults", "calls")]
EVENTS = [event for name, _, counts, _ in PARTS if name in SIMULATED for event in counts]


class Malformed(Exception):
    """Text that is not a complete output file of cachegrind."""


def read_cachegrind(lines):
    """({event: count} of the whole program, {(file, function): {event: count}}) from the lines of an output file.
    The functions must add up to the summary that cachegrind wrote at the end."""
    names, summary, functions = None, None, {}
    file = function = None
    for line in lines:
        key, _, rest = line.partition("=") if line[:3] in ("fl=", "fn=") else line.partition(":")
        if line[:1].isdigit() and function is not None:
            for event, count in zip(names, line.split()[1:]):
                function[event] += int(count)
        elif key == "fl":
            file = rest.strip()
        elif key == "fn":
            if names is None:
                raise Malformed("a function comes before the names of the events")
            function = functions.setdefault((file, rest.strip()), dict.fromkeys(names, 0))
        elif key == "events":
            names = rest.split()
        elif key == "summary":
            summary = dict(zip(names or [], map(int, rest.split())))
    if not summary or len(summary) != len(names):
        raise Malformed("the summary is missing: cachegrind did not end well")
    missing = [event for event in EVENTS if event not in summary]
    if missing:
        raise Malformed(f"no {', '.join(missing)}: it needs --cache-sim=yes --branch-sim=yes")
    for event in names:
        total = sum(f[event] for f in functions.values())
        if total != summary[event]:
            raise Malformed(f"the functions have {total} {event} together, the summary has {summary[event]}")
    return summary, functions


def select(functions, inside):
    """{name: {event: count}} of the functions for which inside(file, name) holds."""
    out = {}
    for (file, name), counts in functions.items():
        if inside(file, name):
            sums = out.setdefault(name, dict.fromkeys(EVENTS, 0))
            for event in EVENTS:
                sums[event] += counts[event]
    return out


def parts(counts):
    """{part: cycles} of counts, which hold at least one of each part that is wanted."""
    return {name: weight * sum(counts[c] for c in wanted)
            for name, weight, wanted, _ in PARTS if all(c in counts for c in wanted)}


def cost(result):
    """{part: cycles} of a whole program."""
    return parts({**result["events"], "faults": result["faults"], "calls": result["calls"]})


def total(result):
    return sum(cost(result).values())


def inside(result):
    """{part: cycles} of what is spent in the functions of the allocator, or None; faults and calls are in none."""
    if result["functions"] is None:
        return None
    sums = dict.fromkeys(EVENTS, 0)
    for counts in result["functions"].values():
        for event in EVENTS:
            sums[event] += counts[event]
    return parts(sums)


def without_functions(result):
    """The same result, smaller: the functions of the allocator added up to one, and no system calls by name."""
    kept = {k: v for k, v in result.items() if k != "by_call"}
    if result["functions"] is not None:
        kept["functions"] = {"": {event: sum(f[event] for f in result["functions"].values()) for event in EVENTS}}
    return kept


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


# ---- tables -------------------------------------------------------------------------------------------------


def table(head, rows):
    """A Markdown table whose columns are aligned, so that it can be read as text as well."""
    rows = [[str(cell) for cell in row] for row in rows]
    width = [max(len(row[k]) for row in [head] + rows) for k in range(len(head))]

    def line(row):
        return "| " + " | ".join(cell.ljust(w) if k == 0 else cell.rjust(w)
                                 for k, (cell, w) in enumerate(zip(row, width))) + " |"
    rule = "|" + "|".join("-" * (w + 2) if k == 0 else "-" * (w + 1) + ":" for k, w in enumerate(width)) + "|"
    return [line(head), rule] + [line(row) for row in rows] + [""]


def by_program(results, kind):
    """{program: {allocator: result}} of one kind, in the order of the results."""
    out = {}
    for r in results:
        if r["kind"] == kind:
            out.setdefault(r["program"], {})[r["allocator"]] = r
    return out


def ratios(results, kind, allocators, figure, base=None):
    """Rows of ratios to the lowest, or to one allocator, and their geometric means over the programs in which every
    allocator has a figure."""
    rows, logs = [], {a: [] for a in allocators}
    for program, by in by_program(results, kind).items():
        figures = {a: figure(by[a]) for a in allocators if a in by}
        if not figures or (base and base not in figures):
            continue
        low = figures[base] if base else min(figures.values())
        rows.append([program] + [f"{figures[a] / low:.3f}" if a in figures else "–" for a in allocators])
        if len(figures) == len(allocators):
            for a in allocators:
                logs[a].append(figures[a] / low)
    n = len(logs[allocators[0]]) if allocators else 0
    if n > 1:
        rows.append([f"*geometric mean of {n}*"] + [f"{geometric_mean(logs[a]):.3f}" for a in allocators])
    return rows


def millions(value):
    return "–" if value is None else f"{value / 1e6:.1f}"


def parts_table(results, kind, allocators):
    names = [name for name, *_ in PARTS]
    rows = []
    for program, by in by_program(results, kind).items():
        for a in allocators:
            if a in by:
                whole, own = cost(by[a]), inside(by[a])
                cells = [f"{millions(whole[n])}" + (f" ({millions(own[n])})" if own and n in own else "") for n in names]
                rows.append([f"{program} {a}", millions(sum(whole.values())), *cells,
                             "–" if own is None else f"{100 * sum(own.values()) / sum(whole.values()):.1f} %",
                             f"{by[a]['peak'] / 1e6:.1f}"])
    return table(["", "Mcycles", *names, "inside", "peak MB"], rows)


# The kinds of results, each with means of its own.
TITLES = {"program": "Programs", "micro": "Micro-benchmarks", "start": "Start and end of a process"}


def markdown(results, allocators, base=None):
    """Everything about these results, as lines of Markdown."""
    lines, to = [], f"ratio to {base or 'the lowest'}"
    for kind, title in TITLES.items():
        chosen = [r for r in results if r["kind"] == kind and r["allocator"] in allocators]
        names = [a for a in allocators if any(r["allocator"] == a for r in chosen)]
        if not chosen:
            continue
        lines += [f"### {title}: cost, {to}", "", *table([""] + names, ratios(chosen, kind, names, total, base))]
        lines += [f"### {title}: peak resident memory, {to}", "",
                  *table([""] + names, ratios(chosen, kind, names, lambda r: r["peak"], base))]
        lines += [f"### {title}: the parts in millions of cycles", "",
                  "In parentheses: of these inside the allocator's functions; `inside` is their share of the whole.", "",
                  *parts_table(chosen, kind, names)]
    return lines


def comparison(results, new, old):
    """Two builds, part by part: new over old. A part of neither is left out of the means."""
    names = [name for name, *_ in PARTS]
    lines = []
    for kind, title in TITLES.items():
        rows, logs = [], {column: [] for column in ["cost", *names, "inside", "peak"]}
        for program, by in by_program(results, kind).items():
            if new not in by or old not in by:
                continue
            a, b = cost(by[new]), cost(by[old])
            own_a, own_b = inside(by[new]), inside(by[old])
            pairs = {"cost": (sum(a.values()), sum(b.values())), **{n: (a[n], b[n]) for n in names},
                     "inside": (sum(own_a.values()), sum(own_b.values())) if own_a and own_b else (0, 0),
                     "peak": (by[new]["peak"], by[old]["peak"])}
            row = [program]
            for column, (x, y) in pairs.items():
                row.append(f"{x / y:.4f}" if y else "–")
                if x and y:
                    logs[column].append(x / y)
            rows.append(row)
        if len(rows) > 1:
            rows.append([f"*geometric mean of {len(rows)}*"] +
                        [f"{geometric_mean(v):.4f}" if v else "–" for v in logs.values()])
        if rows:
            lines += [f"### {title}: {new} over {old}, below 1 where {new} needs less", "", *table([""] + list(logs), rows)]
    return lines


def functions_table(result):
    """The functions of the allocator, the dearest first, in millions of cycles."""
    if result["functions"] is None:
        return ["The functions of this allocator are not known.", ""]
    costs = sorted(((parts(c), name) for name, c in result["functions"].items()), key=lambda x: -sum(x[0].values()))
    return table([f"{result['program']} {result['allocator']}", "Mcycles", *SIMULATED],
                 [[name, millions(sum(c.values())), *(millions(c[n]) for n in SIMULATED)]
                  for c, name in costs[:25] if sum(c.values()) > 0])
