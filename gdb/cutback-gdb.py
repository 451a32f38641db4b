"""Commands of gdb for programs that run on cutback, and for their core files.

    cutback heaps            the heaps, the threads that have them, how much is in them
    cutback whatis ADDRESS   what is there: live, freed, never used; whose; how far from the nearest live objects
    cutback block ADDRESS    the block around an address, and the objects beside it

It needs no debug information: what it must know is in a constant that the library exports, src/heap/layout.h. It reads
memory and calls nothing, so the program may have stopped anywhere, and may be dead. doc/gdb.md says more.
"""

import struct

import gdb

VERSION = 2
ADDRESSES = ["map", "blocks", "ranges", "range_count", "heaps", "page_size"]
NUMBERS = ["range_bytes", "range_start", "range_size", "granule_shift", "quad_shift", "block_shift", "block_bytes",
           "block_owner", "block_dead", "block_fresh", "block_space", "block_purged", "heap_bytes", "heap_next",
           "heap_state", "heap_tag", "heap_tag_shift", "heap_used", "heap_dead", "heap_dead_pages", "heap_blocks",
           "heap_thread", "heap_run_block", "heap_run_limit", "large_extent", "large_room_bits", "extent_start",
           "extent_size"]
LIVE, REMOTE, DEAD = 0x40, 0x80, 0xC0
STATES = {LIVE: "live", REMOTE: "freed by another thread, which its owner has not seen yet",
          0: "freed, and kept for the next request of its size", DEAD: "freed"}
SHORT = {LIVE: "live", REMOTE: "remote", 0: "in a bin", DEAD: "dead", None: "unused"}
HEAP_STATES = {0: "waits for a thread", 1: "running", 2: "of a thread that was lost by fork"}
NEIGHBOURS = 4  # that `cutback block` shows on either side


class Wrong(gdb.GdbError):
    """Told in one line."""


def order():
    return "<" if "little" in gdb.execute("show endian", to_string=True) else ">"


def read(address, size):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        raise Wrong(f"the memory at {address:#x} cannot be read") from None


def number(address, size=8):
    return struct.unpack(order() + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], read(address, size))[0]


class Heap:
    """The heap of the process, as it is at this moment."""

    def __init__(self):
        try:
            at = int(gdb.parse_and_eval("(unsigned long) &cutback_layout"))
        except gdb.error:
            raise Wrong("cutback is not in this program (no symbol cutback_layout)") from None
        names = ADDRESSES + NUMBERS
        magic, version, *values = struct.unpack(f"{order()}16sQ{len(names)}Q", read(at, 24 + 8 * len(names)))
        if magic.rstrip(b"\0") != b"cutback layout":
            raise Wrong("cutback has not been loaded yet: the program must have been started")
        if version != VERSION:
            raise Wrong(f"this script is for another version of cutback (layout {VERSION}, not {version})")
        for name, value in zip(names, values):
            setattr(self, name, value)
        self.map, self.blocks = number(self.map), number(self.blocks)
        self.page = number(self.page_size)
        if self.map == 0:
            raise Wrong("the program has not allocated anything yet")

    def all_ranges(self):
        for i in range(number(self.range_count, 4)):
            at = self.ranges + i * self.range_bytes
            yield number(at + self.range_start), number(at + self.range_size)

    def range_of(self, p):
        return next(((s, size) for s, size in self.all_ranges() if s <= p < s + size), None)

    def all_heaps(self):
        heap = number(number(self.heaps))
        while heap != 0:
            yield heap
            heap = number(heap + self.heap_next)

    def name_of(self, heap):
        return f"heap {number(heap + self.heap_tag) >> self.heap_tag_shift}"

    def thread_of(self, heap):
        """The thread that has the heap, in words."""
        state = number(heap + self.heap_state, 4)
        if state != 1:
            return HEAP_STATES.get(state, f"state {state}")
        tid = number(heap + self.heap_thread, 4) & 0x3FFFFFFF
        for thread in gdb.selected_inferior().threads():
            if thread.ptid[1] == tid:
                return f"thread {thread.num} (LWP {tid})"
        return f"LWP {tid}, which is gone" if tid else "a thread"

    def block_at(self, p):
        """The start of the block around p, its entry and its owner; owner 0: p is in no block."""
        entry = self.blocks + (p >> self.block_shift) * self.block_bytes
        return p >> self.block_shift << self.block_shift, entry, number(entry + self.block_owner)

    def things(self, start):
        """(address, bytes, state) of all that is in the block; state None: nothing was ever there, or a run."""
        _, entry, owner = self.block_at(start)
        small, run_end = number(entry + self.block_space, 1) == 0, 0
        coarser = 0 if small else self.quad_shift
        size = 1 << self.block_shift - self.granule_shift - coarser
        map_bytes = read(self.map + (start >> self.granule_shift), size) + bytes(3)
        if owner in set(self.all_heaps()) and number(owner + self.heap_run_block) == entry:
            run_end = number(owner + self.heap_run_limit) - (start >> self.granule_shift) >> coarser
        m = unused = 0

        def thing(at, length, state):
            shift = self.granule_shift + coarser
            return start + (at << shift), length << shift, state

        while m < size:
            state, length = map_bytes[m] & 0xC0, map_bytes[m] & 0x3F
            digits = map_bytes[m + 1:m + 4]
            if length == 0 and max(digits) < 0x40 and not (small and state == 0):
                length = sum(digit << 6 * i for i, digit in enumerate(digits))
                if state == 0 and m + length > (run_end if m < run_end else size):
                    length = 0  # what follows the run looks like a length
            if length == 0 or m + length > size:
                m, unused = m + 1, unused + 1
                continue
            if unused:
                yield thing(m - unused, unused, None)
            yield thing(m, length, state)
            m, unused = m + length, 0
        if unused:
            yield thing(size - unused, unused, None)

    def large_before(self, p, lowest):
        """The first page at or below p whose map says that something starts there: its address and tag; or None."""
        page = p // self.page * self.page
        step = self.page >> self.granule_shift
        while page >= lowest:
            block, _, owner = self.block_at(page)
            if owner != 0:
                return None
            first = max(lowest, block)
            tags = read(self.map + (first >> self.granule_shift), (page - first >> self.granule_shift) + 1)[::step]
            for i in range(len(tags) - 1, -1, -1):
                if tags[i] != 0:
                    return first + i * self.page, tags[i]
            page = first - self.page
        return None

    def large(self, start):
        word = number(self.map + (start >> self.granule_shift) + self.large_extent)
        return (word >> self.large_room_bits) * self.page, (word & (1 << self.large_room_bits) - 1) * self.page

    def free_extent(self, start):
        at = self.map + (start >> self.granule_shift)
        return number(at + self.extent_size) if number(at + self.extent_start) == start else 0


def kib(n):
    return f"{n / 1024:.1f} KiB" if n % 1024 else f"{n // 1024} KiB"


def count(n, what):
    return f"{n} {what}{'' if n == 1 else 's'}"


def neighbours(things, p):
    """How far p is from the live objects on both sides, in lines."""
    before = [t for t in things if t[2] == LIVE and t[0] + t[1] <= p]
    after = [t for t in things if t[2] == LIVE and t[0] > p]
    if before:
        at, size, _ = before[-1]
        print(f"  {count(p - at - size, 'byte')} behind the end of the live object at {at:#x} ({count(size, 'byte')})")
    if after:
        at, size, _ = after[0]
        print(f"  {count(at - p, 'byte')} before the live object at {at:#x} ({count(size, 'byte')})")


def whatis_in_block(heap, p, start, owner):
    things = list(heap.things(start))
    at, size, state = next(t for t in things if t[0] <= p < t[0] + t[1])
    known = owner in set(heap.all_heaps())
    whose = f"{heap.name_of(owner)}, {heap.thread_of(owner)}" if known else "a heap that was lost by a fork"
    if state is None:
        print(f"{p:#x}: in memory that is next to be handed out, or was never used, of {whose}")
        neighbours(things, p)
    elif state == DEAD:
        print(f"{p:#x}: freed memory, {count(size, 'byte')} from {at:#x}, of {whose}")
        neighbours(things, p)
    else:
        where = "the start of" if p == at else f"{count(p - at, 'byte')} inside, {count(at + size - p, 'byte')} before the end of,"
        print(f"{p:#x}: {where} an object of {count(size, 'byte')} at {at:#x}: {STATES[state]}; of {whose}")
        if state != LIVE:
            neighbours(things, p)


def whatis_in_pages(heap, p, lowest):
    found = heap.large_before(p, lowest)
    if found is not None and found[1] == LIVE:
        at, (size, room) = found[0], heap.large(found[0])
        if p < at + size:
            where = "the start of" if p == at else f"{count(p - at, 'byte')} inside, {count(at + size - p, 'byte')} before the end of,"
            print(f"{p:#x}: {where} an object of {count(size, 'byte')} at {at:#x}: live, large; of no heap")
            return
        kind = "in addresses kept for the growth of a large object" if p < at + size + room else "in pages that are not in use"
        print(f"{p:#x}: {kind}")
        print(f"  {count(p - at - size, 'byte')} behind the end of the live object at {at:#x} ({count(size, 'byte')})")
        return
    if found is not None and found[1] == DEAD and p < found[0] + heap.free_extent(found[0]):
        at, size = found[0], heap.free_extent(found[0])
        print(f"{p:#x}: in free pages, {kib(size)} from {at:#x}")
        below = heap.large_before(at - 1, lowest) if at > lowest else None
        if below is not None and below[1] == LIVE:
            end = below[0] + heap.large(below[0])[0]
            print(f"  {count(p - end, 'byte')} behind the end of the live object at {below[0]:#x} ({count(end - below[0], 'byte')})")
        return
    print(f"{p:#x}: in pages that hold nothing, or are just being given or taken")


def whatis(heap, p):
    found = heap.range_of(p)
    if found is None:
        print(f"{p:#x}: not in memory that cutback hands out")
        return
    start, _, owner = heap.block_at(p)
    if owner != 0:
        whatis_in_block(heap, p, start, owner)
    else:
        whatis_in_pages(heap, p, found[0])


def block(heap, p):
    if heap.range_of(p) is None:
        raise Wrong(f"{p:#x} is not in memory that cutback hands out")
    start, entry, owner = heap.block_at(p)
    if owner == 0:
        raise Wrong(f"{p:#x} is in no block: see cutback whatis")
    known = owner in set(heap.all_heaps())
    space = "medium" if number(entry + heap.block_space, 1) else "small"
    purged = bin(number(entry + heap.block_purged)).count("1")
    print(f"block {start:#x} to {start + (1 << heap.block_shift):#x}, {space} objects, of "
          + (f"{heap.name_of(owner)}, {heap.thread_of(owner)}" if known else "a heap that was lost by a fork"))
    print(f"  handed out so far: {kib(number(entry + heap.block_fresh, 2) << heap.granule_shift)}, "
          f"dead: {kib(number(entry + heap.block_dead, 2) << heap.granule_shift)}, given back: {kib(purged * 4096)}")
    things = list(heap.things(start))
    for state, name in SHORT.items():
        of_state = [t for t in things if t[2] == state]
        if of_state:
            what = "object" if state in (LIVE, REMOTE, 0) else "stretch" if len(of_state) == 1 else "stretche"
            print(f"  {name}: {count(len(of_state), what)}, {kib(sum(t[1] for t in of_state))}")
    here = next(i for i, t in enumerate(things) if t[0] <= p < t[0] + t[1])
    for i in range(max(0, here - NEIGHBOURS), min(len(things), here + NEIGHBOURS + 1)):
        at, size, state = things[i]
        print(f"  {'->' if i == here else '  '} {at:#x} {size:8} {SHORT[state]}")


def heaps(heap):
    print(f"{'heap':>4}  {'at':18} {'blocks':>7} {'in use':>12} {'dead':>12} {'resident dead':>13}  thread")
    for at in sorted(heap.all_heaps(), key=lambda h: number(h + heap.heap_tag)):
        used, dead = (number(at + o) << heap.granule_shift for o in (heap.heap_used, heap.heap_dead))
        print(f"{number(at + heap.heap_tag) >> heap.heap_tag_shift:4}  {at:#018x} {number(at + heap.heap_blocks):7} "
              f"{kib(used - dead):>12} {kib(dead):>12} {kib(number(at + heap.heap_dead_pages) * 4096):>13}  {heap.thread_of(at)}")
    total = sum(size for _, size in heap.all_ranges())
    print(f"mapped for objects: {kib(total)}")


class Cutback(gdb.Command):
    """Look at the heap of cutback: cutback heaps, cutback whatis ADDRESS, cutback block ADDRESS."""

    def __init__(self):
        super().__init__("cutback", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Heaps(gdb.Command):
    """List the heaps: their threads, blocks, and how much is in use and dead in them."""

    def __init__(self):
        super().__init__("cutback heaps", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if argument.strip():
            raise Wrong("cutback heaps takes no argument")
        heaps(Heap())


class AtAddress(gdb.Command):
    """What takes an address, which may be any expression."""

    def __init__(self, name, what):
        self.name, self.what = name, what
        super().__init__(name, gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument.strip():
            raise Wrong(f"{self.name} wants an address")
        try:
            address = int(gdb.parse_and_eval(f"(unsigned long) ({argument})"))
        except gdb.error as error:
            raise Wrong(str(error)) from None
        self.what(Heap(), address)


class WhatIs(AtAddress):
    """Say what is at an address: an object that lives, freed memory, nothing; how large, whose, and how far from the
nearest live objects, of which something may have written too far."""

    def __init__(self):
        super().__init__("cutback whatis", whatis)


class Block(AtAddress):
    """Show the block of 256 KiB around an address: whose it is, what is in it, and the objects beside the address."""

    def __init__(self):
        super().__init__("cutback block", block)


Cutback()
Heaps()
WhatIs()
Block()
