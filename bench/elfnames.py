"""Gives the code of a shared library names by which cachegrind can tell it from all other code.

Cachegrind counts by function, not by library, and what has no symbol is all one function to it. So the library is
copied with another symbol table: local functions get a prefix before their names, and code that belongs to no symbol
(all local functions of a stripped library) gets symbols of its own. Exported functions keep their names, for these
are what the program is linked to. The code, and where it lies, stay the same.

64-bit little-endian ELF only.
"""

import struct

PREFIX = "allocator:"
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_DYNSYM = 0, 1, 2, 3, 11
SHF_EXECINSTR = 4
STT_FUNC, STT_GNU_IFUNC = 2, 10


class NotElf(Exception):
    """A file that is not such a library."""


def text_at(table, offset):
    return table[offset:table.index(b"\0", offset)].decode(errors="replace")


def functions(data, sections, kind):
    """[(address, size, name, section)] of the functions of the symbol tables of this kind."""
    out = []
    for name, type_, flags, address, offset, size, link, *_ in sections:
        if type_ == kind:
            strings = data[sections[link][4]:sections[link][4] + sections[link][5]]
            for name, info, _, section, address, length in SYMBOL.iter_unpack(data[offset:offset + size]):
                if info & 15 in (STT_FUNC, STT_GNU_IFUNC) and 0 < section < len(sections):
                    out.append((address, length, text_at(strings, name), section))
    return out


def gaps(start, end, covered):
    """[(from, to)] of what lies between start and end and in none of the covered pieces, which are sorted."""
    out = []
    for a, b in covered:
        if a > start:
            out.append((start, min(a, end)))
        start = max(start, b)
    if start < end:
        out.append((start, end))
    return [(a, b) for a, b in out if a < b]


def named(data):
    """(the library with new symbols, the names of its exported functions)"""
    if data[:6] != b"\x7fELF\x02\x01":
        raise NotElf("not a 64-bit little-endian ELF file")
    header = list(HEADER.unpack_from(data))
    offset, count, strings = header[6], header[12], header[13]
    sections = [SECTION.unpack_from(data, offset + k * SECTION.size) for k in range(count)]
    if not count:
        raise NotElf("it has no section headers")
    exported = functions(data, sections, SHT_DYNSYM)
    at = {(address, section) for address, _, _, section in exported}
    local = [f for f in functions(data, sections, SHT_SYMTAB) if (f[0], f[3]) not in at]
    symbols = [(address, size, PREFIX + name, section) for address, size, name, section in local if size]
    for k, (_, type_, flags, address, _, size, *_) in enumerate(sections):
        if type_ == SHT_PROGBITS and flags & SHF_EXECINSTR:
            known = sorted((a, a + n) for a, n, _, section in exported + local if section == k and n)
            symbols += [(a, b - a, PREFIX + "code without a name", k) for a, b in gaps(address, address + size, known)]

    names, table = bytearray(b"\0"), bytearray(SYMBOL.size)
    for address, size, name, section in symbols:
        table += SYMBOL.pack(len(names), STT_FUNC, 0, section, address, size)
        names += name.encode() + b"\0"
    old_names = data[sections[strings][4]:sections[strings][4] + sections[strings][5]]
    section_names = old_names + b".symtab\0.strtab\0"
    out = bytearray(data)

    def append(piece):
        out.extend(bytes(-len(out) % 8))
        out.extend(piece)
        return len(out) - len(piece)

    kept = [(0, SHT_NULL, *s[2:]) if s[1] == SHT_SYMTAB else s for s in sections]
    kept[strings] = (*sections[strings][:4], append(section_names), len(section_names), *sections[strings][6:])
    kept.append((len(old_names), SHT_SYMTAB, 0, 0, append(table), len(table), count + 1, len(symbols) + 1, 8, SYMBOL.size))
    kept.append((len(old_names) + len(b".symtab\0"), SHT_STRTAB, 0, 0, append(names), len(names), 0, 0, 1, 0))
    header[6], header[12] = append(b"".join(SECTION.pack(*s) for s in kept)), len(kept)
    HEADER.pack_into(out, 0, *header)
    return bytes(out), {name for _, _, name, _ in exported}
