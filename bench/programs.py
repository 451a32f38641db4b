"""The whole programs that bench/run.py and tools/cost measure, and the inputs they run on.

Every input is generated, the same in every run and on every machine, by a few seconds of Python; nothing is
downloaded. A program is skipped, with a reason, where what it needs is not installed.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path


def which(name):
    """The system's program of that name: shims of version managers in the home directory are scripts, not programs."""
    for folder in ("/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin"):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return shutil.which(name)


def gcc_part(name):
    """The path of cc1 or cc1plus, or None."""
    gcc = which("gcc")
    if not gcc:
        return None
    path = subprocess.run([gcc, "-print-prog-name=" + name], capture_output=True, text=True).stdout.strip()
    return path if os.path.isabs(path) and os.access(path, os.X_OK) else None


class Program:
    """A program and its input. `size` is 1 for the full run and less for --quick."""

    name = ""
    what = ""
    needs = ()  # program names, all of which must be there
    package = ""  # what to install where they are not
    seconds = 2.0  # rough cost of a run at size 1
    cost_size = None  # the size for tools/cost: 5 to 20 s under cachegrind; None: it is not run there
    env = {}
    check_output = False  # the output must be the same under every allocator
    stdin = None
    cwd = None
    processes = False  # starts others: peak memory is that of the largest
    own_malloc = False  # it is linked with a malloc that is not libc's: for glibc's, libc itself is preloaded

    def missing(self):
        absent = [n for n in self.needs if not which(n)]
        return f"{', '.join(absent)} not installed (package {self.package})" if absent else None

    def prepare(self, folder: Path, size: float, root: Path):
        """Generates the input into the folder. Called once; the folder is kept between runs."""

    def command(self, folder: Path):
        raise NotImplementedError

    # Where the program is a service: called with the folder while it runs; sends requests, and the last one ends it.
    drive = None


# ---- compilers ----------------------------------------------------------------------------------------------


def c_source(functions):
    """A C file of `functions` functions with loops, switches, calls and structures."""
    r = random.Random(1)
    out = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>",
           "struct node { int key; long value[4]; struct node *next; const char *name; };"]
    for i in range(functions):
        out.append(f"static const char *const names_{i}[] = {{" +
                   ", ".join(f'"n{i}_{k}"' for k in range(r.randint(3, 9))) + "};")
        out.append(f"long f{i}(struct node *n, long a, int b) {{\n  long s = a + {r.randint(1, 99)};")
        for k in range(r.randint(2, 6)):
            kind = r.randint(0, 4)
            c = r.randint(2, 50)
            if kind == 0:
                out.append(f"  for (int i{k} = 0; i{k} < b; i{k}++) {{ s += n->value[i{k} & 3] * {c}; "
                           f"if (s & {c}) n->value[{c & 3}] ^= s; }}")
            elif kind == 1:
                cases = " ".join(f"case {v}: s = s * {v + c} + n->key; break;" for v in range(r.randint(3, 12)))
                out.append(f"  switch ((s + {c}) % 13) {{ {cases} default: s--; }}")
            elif kind == 2 and i:
                out.append(f"  if (s > {c}) s += f{r.randint(max(0, i - 20), i - 1)}(n->next ? n->next : n, s, b - 1);")
            elif kind == 3:
                out.append(f"  while (n->next && n->key < {c}) {{ n = n->next; s += strlen(names_{i}[s & 1]); }}")
            else:
                out.append(f"  s = (s << {c % 7 + 1}) ^ (s >> {c % 5 + 1}) ^ n->value[{c & 3}];")
        out.append("  return s;\n}")
    calls = " + ".join(f"f{i}(&n, argc, {i % 9})" for i in range(functions))
    out.append(f"int main(int argc, char **argv) {{ struct node n = {{0}}; n.name = argv[0]; return (int)({calls}); }}")
    return "\n".join(out) + "\n"


def cxx_source(classes):
    """A C++ file full of templates from the standard library."""
    r = random.Random(2)
    out = ["#include <" + h + ">" for h in
           ("algorithm", "functional", "map", "memory", "numeric", "set", "sstream", "string", "tuple",
            "unordered_map", "vector")]
    for i in range(classes):
        out.append(f"""
struct T{i} {{ int a; std::string b; std::vector<double> c; bool operator<(const T{i} &o) const {{ return a < o.a; }} }};
template <class F> auto apply{i}(F f) {{ return [f](const T{i} &t) {{ return f(t.a, t.b.size(), {r.randint(1, 99)}); }}; }}
long use{i}(int n) {{
  std::map<std::string, std::vector<T{i}>> m;
  std::unordered_map<int, std::shared_ptr<T{i}>> u;
  std::set<std::tuple<int, std::string, T{i} *>> s;
  for (int k = 0; k < n; k++) {{
    auto t = std::make_shared<T{i}>(T{i}{{k * {r.randint(2, 30)}, std::to_string(k), {{1.0, 2.0}}}});
    m[t->b].push_back(*t); u[k] = t; s.emplace(k, t->b, t.get());
  }}
  std::function<long(const T{i} &)> f = apply{i}([](int a, size_t b, int c) {{ return long(a) * c + long(b); }});
  long sum = 0;
  for (auto &[key, list] : m) {{ std::sort(list.begin(), list.end()); for (auto &x : list) sum += f(x); }}
  std::ostringstream o; o << sum << ' ' << u.size() << ' ' << s.size();
  return std::accumulate(m.begin(), m.end(), sum, [](long x, auto &e) {{ return x + long(e.second.size()); }});
}}""")
    return "\n".join(out) + "\n"


class Cc1(Program):
    name, what, needs, package, seconds = "cc1", "gcc's C compiler, -O2", ("gcc",), "gcc", 3
    cost_size = 0.1

    def missing(self):
        return super().missing() or (None if gcc_part("cc1") else "cc1 not found")

    def prepare(self, folder, size, root):
        (folder / "in.c").write_text(c_source(max(20, int(250 * size))))
        subprocess.run(["gcc", "-E", "in.c", "-o", "in.i"], cwd=folder, check=True)

    def command(self, folder):
        return [gcc_part("cc1"), "-quiet", "-O2", "-fpreprocessed", str(folder / "in.i"), "-o", "/dev/null"]


class Cc1plus(Program):
    name, what, needs, package, seconds = "cc1plus", "gcc's C++ compiler, -O1, templates", ("g++",), "g++", 4
    cost_size = 0.1

    def missing(self):
        return super().missing() or (None if gcc_part("cc1plus") else "cc1plus not found")

    def prepare(self, folder, size, root):
        (folder / "in.cc").write_text(cxx_source(max(1, int(8 * size))))
        subprocess.run(["g++", "-std=c++17", "-E", "in.cc", "-o", "in.ii"], cwd=folder, check=True)

    def command(self, folder):
        return [gcc_part("cc1plus"), "-quiet", "-std=c++17", "-O1", "-fpreprocessed", str(folder / "in.ii"), "-o",
                "/dev/null"]


class Clang(Program):
    name, what, needs, package, seconds = "clang", "clang, C++, -O1, templates", ("clang", "g++"), "clang", 4

    def prepare(self, folder, size, root):
        (folder / "in.cc").write_text(cxx_source(max(1, int(8 * size))))

    def command(self, folder):
        return [which("clang"), "-x", "c++", "-std=c++17", "-O1", "-c", str(folder / "in.cc"), "-o",
                str(folder / "out.o")]


class Link(Program):
    name, what, needs, package, seconds = "ld", "the link of a large set of objects", ("ld", "as"), "binutils", 2
    cost_size = 0.3

    def prepare(self, folder, size, root):
        r = random.Random(3)
        files, symbols = int(150 * size) + 2, 1500
        for f in range(files):
            lines = [f".file \"part{f}.c\""]
            for s in range(symbols):
                lines.append(f".section .text.part{f}_function_{s},\"ax\",@progbits\n.globl part{f}_function_{s}\n"
                             f"part{f}_function_{s}:\n call part{r.randrange(files)}_function_{r.randrange(symbols)}\n"
                             f" lea .Ls{s}(%rip), %rax\n ret\n"
                             f".section .rodata.str1.1,\"aMS\",@progbits,1\n.Ls{s}: .asciz \"text {f % 7} {s}\"")
            lines.append('.section .note.GNU-stack,"",@progbits')
            (folder / "part.s").write_text("\n".join(lines) + "\n")
            subprocess.run(["as", "part.s", "-o", f"part{f}.o"], cwd=folder, check=True)
        (folder / "objects").write_text("\n".join(str(folder / f"part{f}.o") for f in range(files)) + "\n")

    def missing(self):
        return super().missing() or (None if os.uname().machine == "x86_64" else "the objects are written for x86-64")

    def command(self, folder):
        return [which("ld"), "--gc-sections", "-e", "part0_function_0", "-o", str(folder / "out"),
                "@" + str(folder / "objects")]


# ---- interpreters -------------------------------------------------------------------------------------------


class Script(Program):
    check_output = True
    suffix, text = "", ""
    arguments = ()
    iterations = 0

    def prepare(self, folder, size, root):
        (folder / ("in" + self.suffix)).write_text(self.text.replace("@N@", str(max(1, int(self.iterations * size)))))

    def command(self, folder):
        return [which(self.needs[0]), *self.arguments, str(folder / ("in" + self.suffix))]


class Python(Script):
    name, what = "python3", "json, re, dictionaries, classes; PYTHONMALLOC=malloc"
    needs, package, seconds = ("python3",), "python3", 3
    cost_size = 0.13
    env = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    arguments, suffix, iterations = ("-s",), ".py", 24
    text = '''
import json, re
class Record:
    def __init__(self, key, words):
        self.key, self.words, self.links = key, words, {}
def build(n, seed):
    x, rows = seed, []
    for i in range(n):
        x = (x * 1103515245 + 12345) % 2147483648
        rows.append({"id": i, "name": "user%d" % x, "tags": ["t%d" % (x >> k) for k in range(0, 20, 4)],
                     "score": x / 7.0, "nested": {"a": [x, i], "b": None, "c": "word " * (x % 9)}})
    return rows
total, kept = 0, []
for turn in range(@N@):
    rows = json.loads(json.dumps(build(6000, turn)))
    index = {}
    for row in rows:
        record = Record(row["name"], re.findall(r"[a-z]+[0-9]", " ".join(row["tags"])))
        index.setdefault(row["id"] % 97, []).append(record)
    for key, records in index.items():
        records.sort(key=lambda r: r.key)
        records[0].links = {r.key: r for r in records}
        total += len(records[0].links) + sum(len(r.words) for r in records)
    kept.append([r for i, r in enumerate(rows) if i % 8 == 0])
    total += len("".join(sorted(r["name"] + str(r["score"]) for r in rows)))
print(total, len(kept))
'''


class Perl(Script):
    name, what, needs, package, seconds = "perl", "hashes, strings, regular expressions", ("perl",), "perl", 3
    cost_size = 0.15
    env = {"PERL_HASH_SEED": "0"}
    suffix, iterations = ".pl", 24
    text = '''
use strict;
my ($x, $total, @kept) = (1, 0);
for my $turn (1 .. @N@) {
    my (%h, @rows);
    for my $i (0 .. 15000) {
        $x = ($x * 1103515245 + 12345) % 2147483648;
        push @rows, { id => $i, name => "user$x", words => [map { "w" . ($x >> $_) } 0 .. 4] };
        push @{ $h{ $x % 977 } }, $rows[-1];
    }
    my $text = join " ", map { $_->{name} } @rows;
    $total += () = $text =~ /r(\\d\\d)(\\d+)/g;
    $total += length join ",", sort map { $_->{name} . "@{$_->{words}}" } @rows;
    push @kept, [@rows[grep { $_ % 8 == 0 } 0 .. $#rows]];
    $total += scalar keys %h;
}
print "$total\\n";
'''


class Lua(Script):
    name, what, needs, package, seconds = "lua", "tables, strings, closures", ("lua5.4",), "lua5.4", 3
    cost_size = 0.15
    suffix, iterations = ".lua", 14
    text = '''
local x, total, kept = 1, 0, {}
for turn = 1, @N@ do
  local rows, index = {}, {}
  for i = 1, 15000 do
    x = (x * 1103515245 + 12345) % 2147483648
    local row = { id = i, name = "user" .. x, words = {}, f = function() return i + turn end }
    for k = 0, 4 do row.words[#row.words + 1] = "w" .. (x >> k) end
    rows[i] = row
    local list = index[x % 977] or {}
    list[#list + 1] = row
    index[x % 977] = list
  end
  table.sort(rows, function(a, b) return a.name < b.name end)
  local parts = {}
  for i, row in ipairs(rows) do
    parts[i] = row.name .. table.concat(row.words, ",")
    if i % 8 == 0 then kept[#kept + 1] = row end
    total = total + row.f()
  end
  total = total + #table.concat(parts)
end
print(total, #kept)
'''


class Ruby(Script):
    name, what, needs, package, seconds = "ruby", "hashes, strings, blocks", ("ruby",), "ruby", 3
    cost_size = 0.09
    suffix, iterations = ".rb", 24
    text = '''
x, total, kept = 1, 0, []
@N@.times do |turn|
  rows, index = [], Hash.new { |h, k| h[k] = [] }
  12000.times do |i|
    x = (x * 1103515245 + 12345) % 2147483648
    row = { id: i, name: "user number #{x} of turn #{turn}", words: (0..4).map { |k| "w#{x >> k}" } }
    rows << row
    index[x % 977] << row
  end
  text = rows.map { |r| r[:name] + r[:words].join(",") }
  total += text.sort.join.size + text.sum { |t| t.scan(/\\d+/).size }
  rows.each_with_index { |r, i| kept << r if i % 8 == 0 }
  total += index.size
end
puts total, kept.size
'''


# ---- databases and tools ------------------------------------------------------------------------------------


class Sqlite(Program):
    name, what, needs, package, seconds = "sqlite3", "inserts, indexes, joins in memory", ("sqlite3",), "sqlite3", 3
    cost_size = 0.15
    check_output = True

    def prepare(self, folder, size, root):
        n = int(250000 * size)
        (folder / "in.sql").write_text(f"""
CREATE TABLE a(id INTEGER PRIMARY KEY, name TEXT, x INTEGER, y REAL);
CREATE TABLE b(id INTEGER PRIMARY KEY, a INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE s(i, x) AS (SELECT 1, 1 UNION ALL SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM s
  WHERE i < {n}) INSERT INTO a SELECT i, 'name ' || x, x % 5000, x / 7.0 FROM s;
INSERT INTO b SELECT id, (id * 7919) % {n} + 1, substr(name || name || name, 1, 10 + x % 40) FROM a;
COMMIT;
CREATE INDEX ax ON a(x); CREATE INDEX an ON a(name); CREATE INDEX ba ON b(a);
SELECT count(*), sum(length(b.note)), max(a.y) FROM a JOIN b ON b.a = a.id WHERE a.x < 2500;
SELECT x, count(*) AS c, group_concat(substr(name, 6, 3)) FROM a GROUP BY x ORDER BY c DESC, x LIMIT 5;
UPDATE b SET note = note || '!' WHERE a % 3 = 0;
DELETE FROM a WHERE x % 2 = 0;
SELECT count(*), count(DISTINCT name) FROM a;
SELECT sum(n) FROM (SELECT row_number() OVER (PARTITION BY x ORDER BY name) AS n FROM a);
""")

    def command(self, folder):
        return [which("sqlite3"), ":memory:", ".read " + str(folder / "in.sql")]


class Jq(Program):
    name, what, needs, package, seconds = "jq", "30 MB of JSON", ("jq",), "jq", 4
    cost_size = 0.1
    check_output = True

    def prepare(self, folder, size, root):
        r = random.Random(4)
        rows, length = [], 0
        while length < 30e6 * size:
            row = json.dumps({"id": len(rows), "user": {"name": f"user{r.getrandbits(30)}", "age": r.randint(1, 99)},
                              "tags": [f"t{r.getrandbits(12)}" for _ in range(r.randint(0, 9))],
                              "points": [[r.random(), r.random()] for _ in range(r.randint(0, 5))],
                              "text": "lorem ipsum " * r.randint(0, 12), "flag": r.random() < 0.5})
            rows.append(row)
            length += len(row) + 2
        (folder / "in.json").write_text("[" + ",\n".join(rows) + "]\n")

    def command(self, folder):
        return [which("jq"), "[.[] | select(.flag) | {n: .user.name, t: (.tags | sort), l: (.text | length)}] | "
                "group_by(.l) | map({k: .[0].l, c: length, t: (map(.t[]) | unique | length)})", str(folder / "in.json")]


class Z3(Program):
    name, what, needs, package, seconds = "z3", "linear integers, then bit vectors", ("z3",), "z3", 3
    check_output = True

    def prepare(self, folder, size, root):
        r = random.Random(5)
        out = []
        n = max(20, int(400 * size))
        for i in range(n):
            out.append(f"(declare-const x{i} Int)(assert (and (<= 0 x{i}) (<= x{i} {n * 4})))")
        for i in range(n * 3):
            a, b, c, d = (r.randrange(n) for _ in range(4))
            out.append(f"(assert (or (< (+ x{a} {r.randint(1, 9)}) x{b}) (< (+ x{c} {r.randint(1, 9)}) x{d})))")
        out.append("(check-sat)(reset)")
        for i in range(max(3, int(22 * size))):
            out.append(f"(declare-const a{i} (_ BitVec 32))(declare-const b{i} (_ BitVec 32))")
            out.append(f"(assert (= (bvmul (bvadd a{i} b{i}) #x{r.getrandbits(32) | 1:08x}) "
                       f"(bvxor a{i} #x{r.getrandbits(32):08x})))(assert (bvult (bvlshr a{i} #x00000003) b{i}))")
            if i:
                out.append(f"(assert (= (bvand a{i} #x000000ff) (bvand b{i - 1} #x000000ff)))")
        out.append("(check-sat)")
        (folder / "in.smt2").write_text("\n".join(out) + "\n")

    def command(self, folder):
        return [which("z3"), str(folder / "in.smt2")]


class Ghostscript(Program):
    name, what, needs, package, seconds = "gs", "ghostscript: pages of PostScript to PDF", ("gs",), "ghostscript", 3

    def prepare(self, folder, size, root):
        r = random.Random(6)
        out = ["%!PS"]
        for page in range(int(400 * size) + 1):
            for _ in range(60):
                font = r.choice(["Times-Roman", "Helvetica", "Courier"])
                out.append(f"/{font} findfont {r.randint(8, 20)} scalefont setfont {r.randint(20, 400)} "
                           f"{r.randint(20, 760)} moveto (Page {page} text {r.getrandbits(40)}) show")
            for _ in range(250):
                out.append(f"{r.random():.2f} {r.random():.2f} {r.random():.2f} setrgbcolor newpath "
                           f"{r.randint(0, 600)} {r.randint(0, 800)} moveto " +
                           " ".join(f"{r.randint(0, 600)} {r.randint(0, 800)} {r.randint(0, 600)} {r.randint(0, 800)} "
                                    f"{r.randint(0, 600)} {r.randint(0, 800)} curveto" for _ in range(3)) +
                           (" fill" if r.random() < 0.5 else " stroke"))
            out.append("showpage")
        (folder / "in.ps").write_text("\n".join(out) + "\n")

    def command(self, folder):
        return [which("gs"), "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite", "-sOutputFile=/dev/null",
                str(folder / "in.ps")]


class Git(Program):
    name, what, needs, package, seconds = "git_gc", "git gc --aggressive of a generated history", ("git",), "git", 4
    processes = True
    env = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}

    def prepare(self, folder, size, root):
        r = random.Random(8)
        repo = folder / "repo"
        shutil.rmtree(repo, ignore_errors=True)
        subprocess.run(["git", "init", "-q", "--bare", str(repo)], check=True)
        words = [f"word{i}" for i in range(3000)]
        files = {f"dir{i % 13}/file{i}.txt": [" ".join(r.choices(words, k=9)) for _ in range(120)] for i in range(150)}
        stream = []
        for commit in range(int(300 * size) + 1):
            changed = r.sample(sorted(files), 4) if commit else sorted(files)
            stream.append(f"commit refs/heads/main\ncommitter A <a@example.org> {1700000000 + commit} +0000\n"
                          f"data 9\ncommit {commit % 10}\n")
            for name in changed:
                lines = files[name]
                for _ in range(3):
                    lines[r.randrange(len(lines))] = " ".join(r.choices(words, k=9))
                text = "\n".join(lines) + "\n"
                stream.append(f"M 644 inline {name}\ndata {len(text)}\n{text}")
        subprocess.run(["git", "fast-import", "--quiet"], cwd=repo, input="\n".join(stream), text=True, check=True)

    def command(self, folder):
        return [which("git"), "-C", str(folder / "repo"), "-c", "gc.auto=0", "-c", "pack.threads=2", "gc", "--quiet",
                "--aggressive", "--prune=now"]


class PackObjects(Git):
    name, what = "git_pack", "git pack-objects of that history, two threads"
    processes = False
    cost_size = 0.1

    def command(self, folder):
        return [which("git"), "-C", str(folder / "repo"), "pack-objects", "--threads=2", "--all", "--stdout", "-q",
                "--no-reuse-delta", "--no-reuse-object", "--window=25"]


class RedisScript(Program):
    """redis-server, sent the same bytes in the same pieces in every run: one piece at a time, each answered before the
    next is sent, and small enough to arrive whole."""

    name, what = "redis", "redis-server, a fixed script of commands"
    needs, package, seconds = ("redis-server",), "redis-server", 2
    cost_size = 3
    own_malloc = True

    def prepare(self, folder, size, root):
        r = random.Random(10)
        n = int(50000 * size)

        def command(*words):
            words = [str(w).encode() for w in words]
            return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
        commands = []
        for i in range(n):
            key, value = r.randrange(n), "v" * r.choice([8, 20, 100, 100, 700])
            commands.append(command(*r.choice([
                ("SET", f"string:{key}", value), ("SET", f"string:{key}", value), ("GET", f"string:{key}"),
                ("LPUSH", f"list:{key % 500}", value), ("RPOP", f"list:{key % 500}"), ("SADD", f"set:{key % 200}", key),
                ("HSET", f"hash:{key % 300}", f"field{key}", value), ("ZADD", f"sorted:{key % 50}", key, f"member{key}"),
                ("APPEND", f"text:{key % 400}", value), ("DEL", f"string:{key}"),
                ("LRANGE", f"list:{key % 500}", 0, 20), ("EXPIRE", f"string:{key}", 100000)])))
        commands.append(command("FLUSHALL", "SYNC"))
        pieces = [commands[k:k + 16] for k in range(0, len(commands), 16)]
        (folder / "script.json").write_text(json.dumps([[len(p), b"".join(p).decode()] for p in pieces]))

    def command(self, folder):
        return [which("redis-server"), "--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "no",
                "--hz", "1", "--dynamic-hz", "no", "--activerehashing", "no", "--databases", "1",
                "--jemalloc-bg-thread", "no"]

    def drive(self, folder):
        pieces = json.loads((folder / "script.json").read_text())
        with connected(folder / "socket", 60) as s, s.makefile("rb") as answers:
            for count, text in pieces:
                s.sendall(text.encode())
                for _ in range(count):
                    read_answer(answers)
            s.sendall(b"SHUTDOWN NOSAVE\r\n")
            answers.read()


def connected(path, patience):
    """A connection to a Unix socket whose server is still starting. Through /proc, because its path may be too long."""
    end = time.monotonic() + patience
    folder = os.open(path.parent, os.O_PATH)
    try:
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(f"/proc/self/fd/{folder}/{path.name}")
                return s
            except OSError:
                s.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
    finally:
        os.close(folder)


def read_answer(stream):
    """Reads one answer of redis's protocol."""
    line = stream.readline()
    if not line.endswith(b"\r\n") or line.startswith(b"-"):
        raise OSError(f"redis answered {line!r}")
    if line.startswith(b"$") and line != b"$-1\r\n":
        stream.read(int(line[1:]) + 2)
    elif line.startswith(b"*"):
        for _ in range(int(line[1:])):
            read_answer(stream)


class Xz(Program):
    name, what, needs, package, seconds = "xz", "xz -T2 -2", ("xz",), "xz-utils", 3

    def prepare(self, folder, size, root):
        r = random.Random(9)
        words = ["".join(r.choices("etaoinshrdlu", k=r.randint(2, 9))) for _ in range(4000)]
        with open(folder / "in.txt", "w") as out:
            for _ in range(int(14 * size) + 1):
                out.write(" ".join(r.choices(words, k=160000)) + "\n")

    def command(self, folder):
        return [which("xz"), "-T2", "-2", "-k", "-c", str(folder / "in.txt")]


class Build(Program):
    name, what = "build", "ninja -j2 of this project (twice; quick: the preload, once)"
    needs, package, seconds = ("ninja", "meson", "gcc", "git"), "meson ninja-build", 8
    processes = True

    def prepare(self, folder, size, root):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
        source = folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, source / name)
        subprocess.run(["meson", "setup", "b", "-Dtests=disabled", "-Dbench=disabled"], cwd=source, check=True,
                       stdout=subprocess.DEVNULL)

        (folder / "targets").write_text("preload/libcutback_preload.so" if size < 1 else "all")

    def command(self, folder):
        b, target = str(folder / "source" / "b"), (folder / "targets").read_text()
        times = "1" if target != "all" else "1 2"
        return ["/bin/sh", "-c",
                f"for i in {times}; do ninja -C {b} -t clean && ninja -C {b} -j2 {target} || exit 1; done"]


ALL = [Cc1(), Cc1plus(), Clang(), Link(), Python(), Perl(), Lua(), Ruby(), Sqlite(), Jq(), Z3(), Ghostscript(), Git(),
       Xz(), Build()]

# What tools/cost counts instead: smaller inputs, and services without clients of chance.
COUNTED = [p for p in ALL if p.cost_size and not isinstance(p, Git)] + [PackObjects(), RedisScript()]
