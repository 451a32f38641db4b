#!/usr/bin/env python3
"""Looks at a page that cutback-run --report --compare has written: page.py PAGE

That it is well-formed and loads nothing; that each picture has axes with units, a legend and tooltips, for wide and for
narrow screens. Then, where a Chromium is installed, that it opens without an error, fits a phone, and is drawn: light
and dark. Says so where there is none.
"""

import html.parser
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import demand, end  # noqa: E402

PAGE = Path(sys.argv[1])
TEXT = PAGE.read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "link", "br", "hr", "img", "input"}

# heading: (horizontal axis, vertical axes, legend)
PICTURES = {
    "Memory over time": ("time since the first call, s", [r"memory, ([KMG]iB|bytes)"],
                         ["live", "resident, glibc", "resident, cutback"]),
    "The cursor": ("calls", [r"height, ([KMG]iB|bytes)", r"change, ([KMG]iB|bytes)"],
                   ["in use", "cursor, ", "plain bump", "falls back over dead blocks"]),
    "Distance from the top": ("live blocks above the freed one", [r"frees, %"],
                              ["frees at this distance", "N = ", "a ring of so many slots"]),
    "Lifetimes by size": ("share of the blocks, %", [r"size, bytes"],
                          ["at once", "2–15 allocations", "4,096 or more", "never freed"]),
    "Sizes": ("size asked for, bytes", [r"share, %"], ["allocations", "bytes"]),
}


# ---- The text -------------------------------------------------------------------------------------------------------


class Reader(html.parser.HTMLParser):
    """Elements that are closed in order, and what they name."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.wrong = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.look_at(tag, dict(attrs))

    def handle_startendtag(self, tag, attrs):
        self.look_at(tag, dict(attrs))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def look_at(self, tag, attributes):
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag in ("script", "iframe", "object", "embed", "base"):
            self.wrong.append(f"<{tag}>")
        for name in ("src", "href", "xlink:href", "action"):
            value = attributes.get(name)
            if value is not None and not value.startswith(("#", "data:")):
                self.wrong.append(f"{tag} {name}={value}")


def check_text():
    reader = Reader()
    reader.feed(TEXT)
    demand(not reader.wrong and not reader.open,
           f"not well-formed, or it loads something: {reader.wrong[:5]} {reader.open[:5]}")
    demand(len(reader.ids) == len(set(reader.ids)), "two elements have the same id")
    links = set(re.findall(r"https?://[^\"' <)]*", TEXT))
    demand(links <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, f"links: {links}")
    demand("@import" not in TEXT and not re.search(r"url\((?!#)", TEXT), "its style loads something")
    demand(TEXT.startswith("<!DOCTYPE html>") and '<html lang="en">' in TEXT and 'name="viewport"' in TEXT,
           "the head lacks something")
    for words in ("user+sys time, s", "resident at most", "call site", "frees taken back at once", "exit status 0"):
        demand(words in TEXT, f"it does not speak of: {words}")


def check_colours():
    style = TEXT[TEXT.index("<style>"):TEXT.index("</style>")]
    light, dark = style.split("@media (prefers-color-scheme: dark)", 1)
    used = set(re.findall(r"var\(--(\w+)\)", TEXT))
    for scheme, part in (("light", light), ("dark", dark)):
        missing = used - set(re.findall(r"--(\w+):", part))
        demand(not missing, f"{scheme}: no colour for {missing}")
    demand(len(used) > 15 and "#0a0b" not in TEXT, "the pictures do not follow the page's colours")


# ---- Pictures -------------------------------------------------------------------------------------------------------


def check_picture(heading, kind, source, horizontal, vertical, legend):
    where = f"{heading}, {kind}"
    svg = xml.fromstring(source)
    words = ["".join(element.itertext()).strip() for element in svg.iter(f"{SVG}text")]
    demand(any(word.endswith(horizontal) or word.startswith(horizontal) for word in words),
           f"{where}: no axis {horizontal}")
    for pattern in vertical:
        demand(any(re.fullmatch(pattern, word) for word in words), f"{where}: no axis {pattern}")
    for entry in legend:
        demand(any(word.startswith(entry) for word in words), f"{where}: the legend lacks {entry}")
    ids = [element.get("id", "") for element in svg.iter()]
    for part, least in (("legend_", 1), ("xtick_", 3), ("ytick_", 3)):
        demand(sum(part in name for name in ids) >= least, f"{where}: few of {part}")
    demand(sum(1 for _ in svg.iter(f"{SVG}title")) >= 5, f"{where}: few tooltips")
    demand(svg.get("aria-label") and svg.get("viewBox") and svg.get("width") is None,
           f"{where}: no label, or a fixed width")
    demand(sum(len(path.get("d", "")) for path in svg.iter(f"{SVG}path")) > 1000, f"{where}: hardly anything is drawn")


def check_pictures():
    figures = dict(re.findall(r"<figure><h2>(.*?)</h2>(.*?)</figure>", TEXT, re.S))
    demand(list(figures) == list(PICTURES), f"the pictures are {list(figures)}")
    for heading, (horizontal, vertical, legend) in PICTURES.items():
        kinds = []
        for match in re.finditer(r"<svg class=\"(\w+)\".*?</svg>", figures.get(heading, ""), re.S):
            kinds.append(match[1])
            check_picture(heading, match[1], match[0], horizontal, vertical, legend)
        demand(kinds == ["wide", "narrow"], f"{heading}: the pictures are for {kinds}")


# ---- Chromium -------------------------------------------------------------------------------------------------------


def chromium():
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((name for name in names if shutil.which(name)), None)


def browse(browser, folder, page, *options):
    # no sandbox: it wants rights that a container does not give, and the page is ours
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}",
               "--enable-logging=stderr", *options, f"file://{page}"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          timeout=120, check=False)


def complaints(done):
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def rows(png):
    """The rows of a picture of 8 bits a channel, as they are packed in it: a byte for the filter, then pixels."""
    data, at, packed = png.read_bytes(), 8, b""
    while at < len(data):
        length, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        chunk = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height = int.from_bytes(chunk[:4], "big"), int.from_bytes(chunk[4:8], "big")
            channels = {2: 3, 6: 4}[chunk[9]]
        elif kind == b"IDAT":
            packed += chunk
        at += 12 + length
    raw, size = zlib.decompress(packed), width * channels + 1
    return [raw[i * size:(i + 1) * size] for i in range(height)]


def check_screen(browser, folder, width, dark):
    """How light the first pixel is, the paper's: of 765."""
    shot = folder / f"{width}.png"
    done = browse(browser, folder, PAGE.resolve(), f"--window-size={width},3000", f"--screenshot={shot}",
                  f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    demand(not complaints(done), f"the console says: {complaints(done)}")
    if not shot.exists():
        demand(False, f"{browser} makes no picture: {done.stderr[-500:]}")
        return 0
    lines = rows(shot)
    demand(len(set(lines)) > 500, f"{width} wide: only {len(set(lines))} different rows of pixels")
    return sum(lines[0][1:4])  # of the first pixel every filter leaves the colour as it is


def check_in_browser(browser, folder):
    light, dark = check_screen(browser, folder, 1280, False), check_screen(browser, folder, 390, True)
    demand(light > 600 and 0 < dark < 200, f"the paper is {light} where it is to be light, {dark} where dark")
    probe = folder / "probe.html"
    script = ("<script>console.error('a probe'); "
              "document.body.dataset.over = document.documentElement.scrollWidth - window.innerWidth;</script>")
    probe.write_text(TEXT.replace("</body>", script + "</body>"), encoding="utf-8")
    done = browse(browser, folder, probe, "--window-size=390,3000", "--dump-dom")
    demand(len(complaints(done)) == 1, f"an error on the console goes unnoticed: {done.stderr[-500:]}")
    over = re.search(r'<body data-over="(-?\d+)"', done.stdout)
    demand(over and int(over[1]) <= 0, f"it is too wide for a phone by {over and over[1]} pixels")


check_text()
check_colours()
check_pictures()
if chromium() is None:
    print("not looked at in a browser: there is no Chromium (Debian: chromium-headless-shell)")
else:
    with tempfile.TemporaryDirectory() as scratch:
        check_in_browser(chromium(), Path(scratch))
end()
