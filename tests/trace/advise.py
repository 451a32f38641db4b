#!/usr/bin/env python3
"""cutback-replay --advise=json against the calls of the trace as text: advise.py CUTBACK-REPLAY TRACE

Stacks are plain lists here, and so are arenas: those with the ring that is advised, and, if sites were recorded, those
of the call site with most allocations. Threads that go on with the lane of another are not told apart in the text, so
this is for traces without them.
"""

import bisect
import collections
import json
import re
import subprocess
import sys

REPLAY, TRACE = sys.argv[1:3]


def ask(option):
    return subprocess.run([REPLAY, option, TRACE], capture_output=True, text=True, check=True).stdout


class Arena:
    """A list of blocks [live, size], of which the last `known` are remembered; see replay/rings.h."""

    def __init__(self, slots):
        self.slots, self.blocks, self.known, self.live, self.held, self.base = slots, [], 0, 0, 0, 0

    def allocate(self, size):
        self.blocks.append([True, size])
        self.known = min(self.known + 1, self.slots)
        self.live += 1
        self.held += size
        return len(self.blocks) - 1

    def free(self, index):
        """Whether it was remembered."""
        remembered = index >= len(self.blocks) - self.known
        self.blocks[index][0] = False
        while self.known and not self.blocks[-1][0]:
            self.held -= self.blocks.pop()[1]
            self.known -= 1
        self.live -= 1
        if self.live == 0:
            self.blocks, self.known, self.held = [], 0, 0
        return remembered


class Arenas:
    """One for each thread."""

    def __init__(self, slots):
        self.slots, self.of_thread, self.most, self.remembered = slots, {}, 0, 0

    def allocate(self, thread, size):
        index = self.of_thread.setdefault(thread, Arena(self.slots)).allocate(size)
        self.most = max(self.most, sum(arena.held for arena in self.of_thread.values()))
        return index

    def free(self, thread, index):
        self.remembered += self.of_thread[thread].free(index)


def calls():
    """(thread, object that goes or None, object that comes or None, its size, site)"""
    for line in ask("--dump").splitlines():
        words = line.split()
        if len(words) < 4 or words[0].startswith("@") or words[-1] == "failed":
            continue
        thread, name, site = int(words[1]), words[2], 0
        if words[-1].startswith("@"):
            site = int(words.pop()[1:])
        if "=" in words:
            size = int(words[4] if words[3] == "unknown" else words[3])
            yield thread, None, int(words[-1][1:]), size, site
        elif words[3].startswith("#") and name in ("realloc", "reallocarray") and len(words) == 6:
            yield thread, int(words[3][1:]), int(words[3][1:]), int(words[4]), site
        elif words[3].startswith("#") and name != "malloc_usable_size":
            yield thread, int(words[3][1:]), None, 0, 0


def main():
    advice = json.loads(ask("--advise=json"))
    site_numbers = {}
    for line in ask("--dump").splitlines():
        match = re.fullmatch(r"@(\d+) = (.*)\+0x([0-9a-f]+)", line)
        if match:
            site_numbers[match[2], int(match[3], 16)] = int(match[1])
    watched, site_slots = None, 256
    if advice["sites"]:
        watched = site_numbers[advice["sites"][0]["module"], advice["sites"][0]["offset"]]
    whole, of_site = Arenas(advice["slots"]), Arenas(site_slots)
    stacks, objects, distances = {}, {}, collections.Counter()
    born = count = frees = total = live = peak = site_count = 0
    for thread, goes, comes, size, site in calls():
        if goes is not None:
            owner, number, old, index, place = objects.pop(goes)
            stack = stacks[owner]
            at = bisect.bisect_left(stack, number)
            distances[(len(stack) - 1 - at).bit_length()] += 1
            del stack[at]
            whole.free(owner, index)
            if place is not None:
                of_site.free(owner, place)
            frees += 1
            live -= old
        if comes is not None:
            stacks.setdefault(thread, []).append(born)
            place = of_site.allocate(thread, size) if site == watched and watched else None
            site_count += place is not None
            objects[comes] = (thread, born, size, whole.allocate(thread, size), place)
            born += 1
            count, total, live = count + 1, total + size, live + size
            peak = max(peak, live)
    ring = next(ring for ring in advice["rings"] if ring["slots"] == advice["slots"])
    ours = {"allocations": count, "frees": frees, "bytes": total, "peak_bytes": peak, "end_bytes": live,
            "distances": dict(distances), "remembered": whole.remembered, "most": whole.most}
    theirs = {key: advice[key] for key in ("allocations", "frees", "bytes", "peak_bytes", "end_bytes")}
    theirs["distances"] = {entry["from"].bit_length(): entry["frees"] for entry in advice["distances"]}
    theirs["remembered"], theirs["most"] = ring["remembered"], ring["most_bytes"]
    if watched:
        site = advice["sites"][0]
        ring = next(ring for ring in site["rings"] if ring["slots"] == site_slots)
        ours["site"] = (site_count, of_site.remembered, of_site.most)
        theirs["site"] = (site["allocations"], ring["remembered"], ring["most_bytes"])
    wrong = [key for key in ours if ours[key] != theirs[key]]
    for key in wrong:
        print(f"{TRACE}: {key}: {theirs[key]}, and here {ours[key]}")
    assert count > 100000 and sum(distances.values()) == frees
    return 1 if wrong else 0


sys.exit(main())
