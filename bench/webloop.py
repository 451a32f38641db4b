#!/usr/bin/env python3
"""A program that allocates as a web service does, at a fixed number of requests a second; for bench/longrun.py.

    bench/webloop.py RATE [SECONDS]

Each request decodes a body, looks up a session, renders a page out of a template, and encodes an answer. Pages are
kept in a cache of bounded size whose keys drift, so that it turns over; every half minute a report is put together out
of many small objects and dropped; every two minutes half of the cache is invalid at once. What is done depends on the
number of the request alone: the same for every allocator. The amount of live data is bounded, so resident memory that
keeps rising is the allocator's.
"""

import collections
import html
import json
import random
import string
import sys
import time

CACHE_BYTES = 16 << 20
SESSIONS = 20000
TICK = 0.05  # seconds
REPORT_EVERY = 30  # seconds
INVALID_EVERY = 120

PAGE = string.Template(
    "<html><head><title>$title</title></head><body><h1>$title</h1><ul>$items</ul>$foot</body></html>")
WORDS = ["".join(random.Random(i).choices(string.ascii_lowercase, k=3 + i % 9)) for i in range(500)]


class Service:
    def __init__(self, rate):
        self.rate = rate
        self.random = random.Random(1)
        self.cache = collections.OrderedDict()  # key: (page, what it was made of)
        self.cached = 0
        self.sessions = collections.OrderedDict()
        self.log = collections.deque(maxlen=5000)

    def body(self):
        """What a client sends: its length is log-uniform."""
        n = int(2 ** self.random.uniform(0, 6))
        return json.dumps({"user": self.random.randrange(10 * SESSIONS), "path": "/" + "/".join(self.words(3)),
                           "query": {w: self.words(2) for w in self.words(3)},
                           "items": [{"id": i, "name": " ".join(self.words(2)), "price": self.random.random()}
                                     for i in range(n)]})

    def words(self, count):
        return self.random.choices(WORDS, k=count)

    def session(self, user):
        """The least recently used session ends when there are too many."""
        found = self.sessions.pop(user, None)
        if found is None:
            found = {"user": user, "since": time.time(), "token": "%032x" % self.random.getrandbits(128), "seen": []}
        found["seen"] = found["seen"][-self.random.randrange(1, 12):] + [" ".join(self.words(2))]
        self.sessions[user] = found
        if len(self.sessions) > SESSIONS:
            self.sessions.popitem(last=False)
        return found

    def page(self, key):
        """A page of 1 to 32 KiB, out of the cache or made anew."""
        found = self.cache.pop(key, None)
        if found is None:
            shape = random.Random(key)
            rows = [{"title": " ".join(shape.choices(WORDS, k=4)), "text": " ".join(shape.choices(WORDS, k=8))}
                    for _ in range(int(2 ** shape.uniform(3, 8)))]
            items = "".join(f"<li><b>{html.escape(r['title'])}</b> {html.escape(r['text'])}</li>" for r in rows)
            page = PAGE.substitute(title=rows[0]["title"], items=items, foot="<p>%d</p>" % key).encode()
            found = (page, rows[:8])
            self.cached += len(page)
        self.cache[key] = found
        while self.cached > CACHE_BYTES:
            self.cached -= len(self.cache.popitem(last=False)[1][0])
        return found

    def request(self, number):
        body = json.loads(self.body())
        session = self.session(body["user"])
        key = number // (4 * self.rate) + int(self.random.expovariate(1 / 1500))  # the popular pages drift
        page, rows = self.page(key)
        answer = json.dumps({"for": session["token"], "seen": session["seen"], "rows": rows,
                             "sum": sum(i["price"] for i in body["items"]), "query": body["query"]})
        head = {"Content-Length": str(len(answer) + len(page)), "X-Path": body["path"], "Set-Cookie": session["token"]}
        raw = "".join(f"{k}: {v}\r\n" for k, v in head.items()).encode() + b"\r\n" + page + answer.encode()
        self.log.append(f"{time.time():.3f} {body['path']} {len(raw)} {session['user']}")
        if number % (self.rate * REPORT_EVERY) == self.rate * REPORT_EVERY // 2:
            self.report()
        if number % (self.rate * INVALID_EVERY) == self.rate * INVALID_EVERY - 1:
            self.invalidate()

    def report(self):
        """The spike: 20,000 rows, sorted, as text."""
        rows = [{"id": i, "key": self.random.random(), "name": WORDS[i % 500] + str(i), "tags": self.words(2)}
                for i in range(20000)]
        rows.sort(key=lambda row: row["key"])
        return len(json.dumps(rows))

    def invalidate(self):
        for key in [k for i, k in enumerate(self.cache) if i % 2 == 0]:
            self.cached -= len(self.cache.pop(key)[0])


def main():
    rate = int(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else float("inf")
    service = Service(rate)
    began = time.monotonic()
    number = tick = 0
    while tick * TICK < seconds:
        tick += 1
        while number < tick * TICK * rate:
            service.request(number)
            number += 1
        time.sleep(max(0.0, began + tick * TICK - time.monotonic()))


if __name__ == "__main__":
    main()
