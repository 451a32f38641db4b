"""A program for python3.sh: what it prints depends on nothing but itself."""
import hashlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import zlib


def records(count, seed):
    state = seed
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        yield {"id": i, "name": f"name-{state >> 40:x}", "tags": [f"t{(state >> k) % 97}" for k in range(8, 24, 4)],
               "nested": {"value": state / 2**64, "text": "x" * (state >> 55)}}


def digest(count, seed):
    text = json.dumps(list(records(count, seed)), sort_keys=True)
    back = json.loads(text)
    words = {}
    for word in re.findall(r"t\d+|name-[0-9a-f]+", text):
        words[word] = words.get(word, 0) + 1
    lines = sorted(f"{word}:{times}" for word, times in words.items())
    packed = zlib.compress("\n".join(lines).encode(), 3)
    assert zlib.decompress(packed).decode().split("\n") == lines
    return len(back), hashlib.sha256(json.dumps(back).encode() + packed).hexdigest()


def worker(number):
    return number, digest(400, number), len([bytearray(size) for size in range(0, 20000, 7)])


def child(number):
    """Runs in a process forked while threads of the parent are at work."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(digest(200, number))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results[0] == results[1] and results[0][1]


def beyond():
    """A terabyte is refused where the machine does not have it, unless the system is told to refuse nothing."""
    with open("/proc/sys/vm/overcommit_memory", encoding="ascii") as rule:
        if rule.read().strip() == "1":
            return "not asked for"
    try:
        return len(bytearray(10**12))
    except MemoryError:
        return "MemoryError"


def grown_in_turn():
    """Two strings that grow beside each other, in small steps."""
    first = second = ""
    for number in range(1500):
        first += chr(65 + number % 26) * 8000
        second += chr(97 + number % 26) * 8000
    return hashlib.sha256((first + second).encode()).hexdigest()


def main():
    print("plain", digest(4000, 1))

    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: digest(500, n)})) for n in range(8)]
    for thread in threads:
        thread.start()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print("forked", pool.map(child, range(9)))
    for thread in threads:
        thread.join()
    for number in sorted(found):
        print("thread", number, found[number])

    with multiprocessing.get_context("fork").Pool(4) as pool:
        for line in pool.map(worker, range(12), chunksize=1):
            print("worker", line)

    for number in range(10):
        code = f"import sys; sys.stdout.write(str(sum(len(str(i)) for i in range({number} * 1000))))"
        print("subprocess", subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True).stdout)
    print("shell", subprocess.run("echo a b c | wc -w; exit 3", shell=True, capture_output=True).returncode)

    big = [bytes(1 << 20) for _ in range(20)] + ["".join(chr(65 + i % 26) for i in range(300000))]
    print("big", hashlib.sha256(b"".join(b for b in big if isinstance(b, bytes)) + big[-1].encode()).hexdigest())
    print("beyond", beyond())
    print("grown", grown_in_turn())
    pid = os.fork()
    if pid == 0:
        os._exit(7 if digest(100, 5)[0] == 100 else 8)
    print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
