"""Writes the page: one file of HTML, with all pictures and its style in it."""

import html
import os
import shlex
from pathlib import Path

import pictures
from figures import REPLAYED_MOST, count, percent, seconds, size


def text(value):
    """Of whatever bytes a path or an argument may have."""
    return html.escape(str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def table(title, head, rows, ours=(), kind=""):
    """Cells are HTML already. Rows whose numbers are in `ours` stand out."""
    out = [f'<h3>{title}</h3><div class="scroll"><table{kind}><thead><tr>']
    out += [f'<th scope="col">{cell}</th>' for cell in head]
    out.append("</tr></thead><tbody>")
    for i, row in enumerate(rows):
        out.append('<tr class="ours">' if i in ours else "<tr>")
        out += [f"<td>{cell}</td>" for cell in row]
        out.append("</tr>")
    out.append("</tbody></table></div>")
    return "".join(out)


def figure(picture, title, says, caption):
    wide = picture.svgs[True].replace("<svg ", '<svg class="wide" ', 1)
    narrow = picture.svgs[False].replace("<svg ", '<svg class="narrow" ', 1)
    return f"<figure><h2>{title}</h2><p>{says}</p>{wide}{narrow}<figcaption>{caption}</figcaption></figure>"


def name_of(found):
    return os.path.basename(found.program[0]) or found.program[0]


def own_name(summary):
    command = summary["command"]
    return os.path.basename(command[0]) if command and command[0] else f"process {summary['process']}"


# ---- Sentences ------------------------------------------------------------------------------------------------------


def replay_of(found, name):
    return next((replay for other, replay in found.replays if other == name), None)


def times(part, whole):
    return f"{part / whole:.2f}" if whole else "–"


def tiles(found):
    summary, advice, ours = found.summary, found.advice, replay_of(found, "cutback")
    top = sum(entry["frees"] for entry in advice["distances"] if entry["from"] == 0)
    near = next(ring["remembered"] for ring in advice["rings"] if ring["slots"] == 16)
    shown = [("allocations", count(summary["allocations"]), f"{size(summary['allocated_bytes'])} in all"),
             ("live at most", size(summary["peak"]["bytes"]), f"in {count(summary['peak']['objects'])} blocks"),
             ("freed from the top", percent(top, advice["frees"]), f"{percent(near, advice['frees'])} within 16 slots")]
    if ours:
        shown.insert(2, ("resident at most", size(ours["peak_resident"]),
                         f"cutback; {times(ours['peak_resident'], summary['peak']['bytes'])} times live"))
    return "<dl class=\"tiles\">" + "".join(f"<div><dt>{label}</dt><dd>{value}<small>{more}</small></dd></div>"
                                            for label, value, more in shown) + "</dl>"


def which_process(found):
    if found.process_count == 1:
        return ""
    name = text(own_name(found.summary))
    return (f"<p>{count(found.process_count)} processes were recorded. All that follows is about <code>{name}</code>, "
            "which allocated most; the others are in the last table.</p>")


def head(found):
    title = f"The memory of {text(name_of(found))}"
    threads = len(found.summary["threads"])
    ran = (f"{found.when}, on {text(found.machine)}. It ran for {seconds(found.wall)} while it was recorded, with "
           f"{threads} thread{'s' if threads != 1 else ''}, and ended with {text(found.end)}.")
    return (f"<h1>{title}</h1><pre class=\"command\">{text(shlex.join(found.program))}</pre><p class=\"soft\">{ran}</p>"
            + which_process(found))


def what_memory_says(found):
    summary, ours = found.summary, replay_of(found, "cutback")
    says = f"At most {size(summary['peak']['bytes'])} were live, after {seconds(summary['peak']['seconds'])}"
    if not ours:
        long = summary["records"] > REPLAYED_MOST
        return says + (". It was not replayed, since that needs memory for each of its calls." if long else ".")
    says += f". Resident at most: cutback {size(ours['peak_resident'])}"
    says += "".join(f", {name} {size(replay['peak_resident'])}" for name, replay in found.replays if name != "cutback")
    return says + (f". At the end cutback keeps {size(ours['end_resident'])}, for {size(summary['end']['bytes'])} that "
                   "were never freed.")


def slots_of(advice):
    return "1 slot" if advice["slots"] == 1 else f"{count(advice['slots'])} slots"


def what_distances_say(found):
    advice = found.advice
    ring = next(ring for ring in advice["rings"] if ring["slots"] == advice["slots"])
    return (f"A ring of {slots_of(advice)} takes back {percent(ring['remembered'], advice['frees'])} of the "
            f"{count(advice['frees'])} frees at once{'.' if advice['suits'] else '; more slots take back few more.'}")


def what_sky_says(found):
    advice = found.advice
    ring = next(ring for ring in advice["rings"] if ring["slots"] == advice["slots"])
    whose = "The arena of the thread with most calls," if advice["lanes"] > 1 else ""
    return (f"{whose or 'An arena'} with {slots_of(advice)}: its cursor rises with each allocation and falls back when "
            f"the block on top is freed. {'The arenas of all threads hold' if whose else 'It holds'} "
            f"{size(ring['most_bytes'])} at most, {times(ring['most_bytes'], advice['peak_bytes'])} times what is in "
            f"use; a bump that gives nothing back, {size(advice['bytes'])}.")


def what_lifetimes_say(found):
    young = sum(entry["objects"][0] for entry in found.advice["lifetimes"] if entry["objects"])
    never = sum(entry["never_freed"] for entry in found.advice["lifetimes"])
    return (f"{percent(young, found.summary['allocations'])} of the blocks are freed before the next allocation; "
            f"{percent(never, found.summary['allocations'])} are never freed.")


def what_sizes_say(found):
    total, seen = found.summary["allocated_bytes"], 0
    average = count(round(total / found.summary["allocations"]))
    for entry in found.summary["sizes"]:
        seen += entry["bytes"]
        if seen >= total / 2:
            return (f"An allocation asks for {average} bytes on average; half of all bytes are in blocks of up to "
                    f"{count(entry['to'])}.")
    return ""


# ---- Tables ---------------------------------------------------------------------------------------------------------


def compared_table(found):
    measures = (("cpu_s", "user+sys time, s", 3), ("wall_s", "wall time, s", 3), ("peak_mib", "peak memory, MiB", 1),
                ("page_faults", "page faults", 0))
    mallocs, rows = found.compared["mallocs"], []
    for malloc in mallocs:
        row = [text(malloc["name"])]
        for key, _, digits in measures:
            figures = malloc.get(key)
            if figures is None:
                row.append("–")
                continue
            ratio = "tie" if figures.get("tie") and malloc is not mallocs[0] else f"{figures.get('ratio', 1):.2f}"
            row.append(f"{figures['median']:,.{digits}f} <span class=\"ratio\">{ratio}</span>")
        rows.append(row)
    title = (f"The program itself, {found.compared['rounds']} rounds under each malloc in turn: medians, then ratios "
             f"to glibc; {text(found.compared['tie'])}")
    return table(title, ["malloc", *(label for _, label, _ in measures)], rows,
                 [i for i, malloc in enumerate(mallocs) if malloc["name"] == "cutback"])


def replay_table(found):
    peak = found.summary["peak"]["bytes"]
    rows = [[text(name), size(replay["peak_resident"]), times(replay["peak_resident"], peak),
             size(replay["end_resident"]), count(replay["page_faults"]), seconds(replay["seconds"])]
            for name, replay in found.replays]
    return table("What was recorded, replayed once under each malloc: memory beyond that of the replay itself",
                 ["malloc", "resident at most", "times live", "at the end", "page faults", "time of the calls"], rows,
                 [i for i, (name, _) in enumerate(found.replays) if name == "cutback"])


def figures_table(found):
    summary, advice = found.summary, found.advice
    calls = ", ".join(f"{text(name)} {count(number)}" for name, number in
                      sorted(summary["calls"].items(), key=lambda item: -item[1]))
    rows = [("calls", f"{count(summary['records'])}"), ("by function", calls),
            ("allocations, of them failed", f"{count(summary['allocations'])}, {count(summary['failed'])}"),
            ("bytes allocated", f"{size(summary['allocated_bytes'])}"),
            ("live at most", f"{size(summary['peak']['bytes'])} in {count(summary['peak']['objects'])} blocks"),
            ("never freed", f"{size(summary['end']['bytes'])} in {count(summary['end']['objects'])} blocks"),
            ("threads that called", count(len(summary["threads"]))),
            ("frees of blocks from before the recording", count(summary["unknown"])),
            ("time from the first call to the last", seconds(summary["seconds"])),
            ("user+sys time while recorded, of all processes", seconds(found.cpu)),
            ("slots that are marked", count(advice["slots"]))]
    title = f"<code>{text(own_name(summary))}</code>, process {summary['process']}"
    return table(title, ["figure", "value"], rows, kind=' class="words"')


def rings_table(found):
    advice = found.advice
    rows = [[count(ring["slots"]), percent(ring["remembered"], advice["frees"]), size(ring["most_bytes"]),
             times(ring["most_bytes"], advice["peak_bytes"])] for ring in advice["rings"]]
    rows.append(["none: plain bump", "–", size(advice["bytes"]), times(advice["bytes"], advice["peak_bytes"])])
    marked = [i for i, ring in enumerate(advice["rings"]) if ring["slots"] == advice["slots"]]
    head = ["slots", "frees taken back at once", "holds at most", "times in use"]
    return table("Rings of an arena", head, rows, marked)


def sites_table(found):
    rows = []
    for i, site in enumerate(found.sites):
        place = f"{os.path.basename(site['module']) or '?'}+{site['offset']:#x}"
        name = found.functions.get(i)
        advised = "–" if site["slots"] is None else "no ring" if not site["needs_ring"] else count(site["slots"])
        rows.append([f"<code>{text(name)}</code> in {text(place)}" if name else f"<code>{text(place)}</code>",
                     percent(site["allocations"], found.advice["allocations"]), count(site["allocations"]),
                     size(site["bytes"]), size(site["peak_bytes"]), advised])
    return table("Where malloc was called from, and how many slots an arena for these blocks alone would need (–: it "
                 "does not suit them)",
                 ["call site", "share", "allocations", "bytes", "in use at most", "slots"], rows)


def processes_table(found):
    rows = [[f"<code>{text(own_name(summary))}</code>", summary["process"], count(summary["allocations"]),
             size(summary["allocated_bytes"]), size(summary["peak"]["bytes"])] for summary, _ in found.processes]
    left_out = found.process_count - len(rows)
    caption = "The processes that were recorded" + (f" (and {count(left_out)} with fewer calls)" if left_out else "")
    return table(caption, ["program", "process", "allocations", "bytes", "live at most"], rows, [0])


def tables(found):
    parts = []
    if found.compared:
        parts.append(compared_table(found))
    if found.replays:
        parts.append(replay_table(found))
    parts += [figures_table(found), rings_table(found)]
    if found.sites:
        parts.append(sites_table(found))
    if found.process_count > 1:
        parts.append(processes_table(found))
    return "<section class=\"table\"><h2>Figures</h2>" + "".join(parts) + "</section>"


# ---- All of it ------------------------------------------------------------------------------------------------------


def write(found):
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    memory_caption = ("Live: what the program has asked for and not freed. Resident: the memory behind it that the "
                      "system has given, when the recorded calls are made again.")
    parts = [
        head(found), tiles(found), f"<p class=\"verdict\">{text(found.advice['verdict'])}</p>",
        figure(pictures.memory(found), "Memory over time", what_memory_says(found), memory_caption),
        figure(pictures.skyline(found), "The cursor", what_sky_says(found),
               "The whole run: from the lowest to the highest point in each stretch. The closer look: each call, in a "
               "stretch where the cursor falls often. Heights are of the blocks as asked for, without padding."),
        figure(pictures.distances(found), "Distance from the top", what_distances_say(found),
               "0: the block freed was the one that its thread had allocated last, of those still live. Each bar "
               "reaches up to the next number."),
        figure(pictures.lifetimes(found), "Lifetimes by size", what_lifetimes_say(found),
               "A lifetime is counted in allocations that the same thread makes meanwhile."),
        figure(pictures.sizes(found), "Sizes", what_sizes_say(found),
               "Each pair of bars is the sizes between two powers of two."),
        tables(found),
        f"<footer>Written by cutback-run {text(found.version)} --report. Nothing on this page is loaded from elsewhere."
        "</footer>",
    ]
    return ("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            f"<title>The memory of {text(name_of(found))}</title>\n<link rel=\"icon\" href=\"data:,\">\n"
            f"<style>\n{style}</style>\n"
            "</head>\n<body>\n<main>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n")
