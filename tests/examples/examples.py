#!/usr/bin/env python3
"""Runs a program of examples/ and compares it with what is computed here.

    examples.py expression|frames|http|json_paths PROGRAM
    examples.py firmware SOURCE-FOLDER         builds it for a Cortex-M0, and runs it in qemu-system-arm

Exit status: 0, 1 (it differs), 77 (skipped: clang, lld or qemu-system-arm is missing).
"""

import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

failures = 0


def expect(what, got, wanted):
    global failures
    if got != wanted:
        failures += 1
        print(f"{what}: got {str(got)[:500]!r}, and not {str(wanted)[:500]!r}")


def run(program, *arguments, text=""):
    done = subprocess.run([program, *arguments], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


# ---- json_paths ---------------------------------------------------------------------------------------------------


def some_json(draw, depth=0):
    kind = draw.randrange(4 if depth == 6 else 7)
    if kind == 0:
        return draw.choice([None, True, False, 0, -1, 12345, 0.5, -1.25e-7, 1e300])
    if kind < 4:
        return "".join(draw.choice('ab "\\/\b\n\té€😀\x1f') for _ in range(draw.randrange(12)))
    if kind < 6:
        return [some_json(draw, depth + 1) for _ in range(draw.randrange(6))]
    return {f"k{i}": some_json(draw, depth + 1) for i in range(draw.randrange(6))}


def leaves(value, path=""):
    if isinstance(value, dict):
        return "".join(leaves(v, f"{path}.{k}") for k, v in value.items())
    if isinstance(value, list):
        return "".join(leaves(v, f"{path}[{i}]") for i, v in enumerate(value))
    return f"{path} = {value if isinstance(value, str) else json.dumps(value)}\n"


def test_json_paths(program):
    draw = random.Random(7)
    for _ in range(20):
        document = [some_json(draw) for _ in range(40)]
        for ascii_only, indent in ((True, None), (False, 1)):
            text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
            expect("json_paths", run(program, text=text), (0, leaves(document), ""))
    for text, line, fault in (
            ("", 1, "a value is missing, or a digit"), ("[1,\n2", 2, "a comma or a closing bracket is missing"),
            ("[01]", 1, "a comma or a closing bracket is missing"), ('["\\q"]', 1, "an unknown escape"),
            ('{"a":1,}', 1, "a value is missing, or a digit"), ('{"a":1,1}', 1, "a name and a colon are missing"),
            ("[1] x", 1, "there is more after the end"), ("[1.]", 1, "a value is missing, or a digit"),
            ("-", 1, "a value is missing, or a digit"), ('"a', 1, "a string without an end"),
            ('["\\ud83d"]', 1, "half a character"), ('["\\ud83d\\ud83d"]', 1, "half a character"),
            ('"\\u12x4"', 1, "four digits are missing"), ('"a\n"', 1, "a string without an end"),
            ('"\\', 1, "an unknown escape"), ("[" * 300, 1, "too deep"), ("[tru]", 1, "a value is missing, or a digit"),
            ("[" + "1," * 400000 + "1]", 1, "no memory left")):
        expect(f"json_paths of {text[:20]!r}", run(program, text=text), (1, "", f"json_paths: line {line}: {fault}\n"))
    expect("json_paths of 20 MB", run(program, text=" " * 20000000),
           (1, "", "json_paths: the input is too large, or cannot be read\n"))


# ---- expression ---------------------------------------------------------------------------------------------------


def some_expression(draw, depth=0):
    if depth == 5 or draw.random() < 0.3:
        return draw.choice(["2", "0.5", "17", "r", "half", "-3"])
    left, right = some_expression(draw, depth + 1), some_expression(draw, depth + 1)
    return draw.choice([f"{left} + {right}", f"({left} - {right})", f"({left})*({right})", f"({left}) / 2", f"-({right})"])


def test_expression(program):
    draw = random.Random(11)
    lines = [some_expression(draw) for _ in range(500)]
    values = [eval(line, {"r": 1.75, "half": 0.875}) for line in lines]
    text = "\n".join(["r = 7 / 4", "half = r / 2", *lines, ""])
    status, out, err = run(program, text=text)
    expect("expression", (status, [float(line) for line in out.split()], err), (0, [float(f"{v:.10g}") for v in values], ""))
    faults = {"(1 + 2": "a closing bracket is missing", "1 +": "a number, a name or a bracket is missing",
              "1 2": "an operator is missing", "r + q": "an unknown name", "= 3": "this cannot be defined",
              "(" * 300: "a number, a name or a bracket is missing",
              "q = (r + ": "a number, a name or a bracket is missing",
              "q = (r + (1 / (r - 2": "a closing bracket is missing", "(1 + 2 * (3 / (r - 2)))": "a division by 0"}
    for wrong, fault in faults.items():
        expect(f"expression of {wrong[:20]!r}", run(program, text=f"r = 2\n{wrong}\nr\n"), (1, "2\n", f"line 2: {fault}\n"))
    # 64 KiB do not hold what 50,000 wrong lines allocate: each gives all of it back.
    status, out, err = run(program, text="r = 2\n" + "s = r + (r * 3 + (4 - 5\nr + 1\n" * 50000)
    expect("expression of many errors", (status, out, err.count("\n")), (1, "3\n" * 50000, 50000))
    # Nor what 50,000 definitions allocate: the tree is gone before a variable is made, and that is used again.
    expect("expression of many definitions", run(program, text="r = 0\n" + "r = r + (2 - 1)\n" * 50000 + "r\n"),
           (0, "50000\n", ""))
    names = ["".join("abcdefghij"[int(digit)] for digit in str(i)) for i in range(2000)]
    status, out, err = run(program, text="r = 2\n" + "".join(f"{name} = 1\n" for name in names) + "r\n")
    expect("expression of too many names", (status, out, set(line.split(": ")[1] for line in err.splitlines())),
           (1, "2\n", {"no memory left"}))
    expect("expression of 1000 characters", run(program, text="1\n" + "1" * 1000 + "\n2\n"), (1, "1\n", ""))


# ---- frames -------------------------------------------------------------------------------------------------------


def test_frames(program):
    boxes, field, side, frames = 400, 1000, 15, 60
    state = 1

    def below(limit):
        nonlocal state
        state = (state * 1103515245 + 12345) % 2**32
        return (state >> 16) % limit

    where = [[below(field), below(field), below(7) - 3, below(7) - 3] for _ in range(boxes)]
    found = []
    for frame in range(frames):
        where = [[(x + dx) % field, (y + dy) % field, dx, dy] for x, y, dx, dy in where]
        if frame >= frames - 2:
            found.append({(a, b) for a in range(boxes) for b in range(a + 1, boxes)
                          if abs(where[a][0] - where[b][0]) < side and abs(where[a][1] - where[b][1]) < side})
    status, out, err = run(program, str(frames))
    expect("frames", (status, out.split(";")[0], err),
           (0, f"frame {frames}: {len(found[1])} pairs, {len(found[1] - found[0])} new", ""))
    expect("frames: memory after 6000 frames", run(program, "6000")[1].split(";")[1], out.split(";")[1])
    for wrong in ("0", "6x"):
        expect(f"frames {wrong}", run(program, wrong), (2, "", "usage: frames [FRAMES]\n"))


# ---- http ---------------------------------------------------------------------------------------------------------


def answers(connection, count):
    """[(status, body)] of so many answers."""
    found, text = [], b""
    while len(found) < count:
        head, separator, rest = text.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]) if separator else None
        if separator and len(rest) >= length:
            found.append((int(head.split()[1]), rest[:length].decode()))
            text = rest[length:]
            continue
        more = connection.recv(65536)
        if not more:
            return found
        text += more
    return found


def get(path="/", version="1.1", **headers):
    lines = [f"GET {path} HTTP/{version}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def test_http(program):
    served = 7 + 600 + 3 + 60
    with subprocess.Popen([program, "0", str(served)], stdout=subprocess.PIPE) as server:
        port = int(server.stdout.readline().decode().strip().rstrip("/").rpartition(":")[2])

        def connect():
            return socket.create_connection(("127.0.0.1", port), timeout=30)

        try:
            with connect() as c:  # one byte after another; two at once; a header of 5000 bytes
                for byte in get(Host="here", Accept="*/*"):
                    c.sendall(bytes([byte]))
                expect("http: headers", answers(c, 1), [(200, "Host: here\nAccept: */*\n")])
                c.sendall(get(a="1") + get("/nothing") + get(b="2"))
                expect("http: three at once", answers(c, 3), [(200, "a: 1\n"), (404, ""), (200, "b: 2\n")])
                c.sendall(get(long="x" * 5000))
                expect("http: long", answers(c, 1), [(200, f"long: {'x' * 5000}\n")])
                c.sendall(get(last="x", Connection="close"))
                expect("http: close", answers(c, 2), [(200, "last: x\nConnection: close\n")])
            with connect() as c:
                c.sendall(get(version="1.0"))
                expect("http: 1.0", answers(c, 2), [(200, "")])
            with connect() as c:  # the same memory, again and again
                for i in range(600):
                    c.sendall(get(turn=str(i), fill="y" * (i % 50 * 40)))
                    expect(f"http: request {i}", answers(c, 1), [(200, f"turn: {i}\nfill: {'y' * (i % 50 * 40)}\n")])
            for request, status in ((get(long="x" * 7000)[:6143], 431), (b"POST / HTTP/1.1\r\n\r\n", 501), (b"\r\n\r\n", 501)):
                with connect() as c:
                    c.sendall(request)
                    expect(f"http: {request[:20]}", answers(c, 2), [(status, "")])
            with connect() as c:  # headers whose copies the arena cannot hold
                c.sendall(get(long="x" * 5900))
                expect("http: two copies", answers(c, 1), [])
            open_now = [connect() for _ in range(60)]
            for i, c in enumerate(open_now):
                c.sendall(get(number=str(i)))
            for i, c in enumerate(open_now):
                expect(f"http: connection {i}", answers(c, 1), [(200, f"number: {i}\n")])
                c.close()
            expect("http: status", server.wait(30), 0)
        finally:
            server.kill()
    for wrong in (["70000"], ["x"], ["0", "1x"], ["0", "0"]):
        expect(f"http {wrong}", run(program, *wrong), (2, "", "usage: http [PORT [REQUESTS]]\n"))


# ---- firmware -----------------------------------------------------------------------------------------------------


def test_firmware(source):
    for needed in ("clang", "ld.lld", "qemu-system-arm"):
        if not shutil.which(needed):
            print(f"skipped: no {needed}")
            sys.exit(77)
    source = Path(source)
    with tempfile.TemporaryDirectory() as folder:
        image = f"{folder}/firmware.elf"
        subprocess.run(["clang", "--target=thumbv6m-none-eabi", "-Os", "-std=c11", "-ffreestanding", "-nostdlib",
                        "-fuse-ld=lld", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{source / 'src'}",
                        "-T", source / "examples" / "firmware.ld", source / "examples" / "firmware.c",
                        source / "examples" / "firmware_start.c",
                        *sorted((source / "src" / "arena").glob("*.c")), "-o", image], check=True)
        lines = [("sort 80 4 3 65535", "3 4 80 65535 "), ("reverse one two  three", "three two one "), ("", ""),
                 ("sort", ""), ("reverse" + " a" * 200, "too many"), ("sort" + " 1" * 110, "too many"),
                 ("x" * 1100, None), ("format c", "sort, reverse, memory or off"), ("memory", "1024")]
        lines += [("sort 2 1", "1 2 ")] * 20 + [("memory", "1024"), ("off", "")]
        wanted = "".join("> " + (answer + "\r\n" if answer is not None else "too long\r\n") for _, answer in lines)
        got = run("qemu-system-arm", "-M", "microbit", "-display", "none", "-serial", "stdio", "-semihosting",
                  "-kernel", image, text="".join(line + "\r" for line, _ in lines))
        expect("firmware", got, (0, wanted, ""))


globals()[f"test_{sys.argv[1]}"](sys.argv[2])
sys.exit(1 if failures else 0)
