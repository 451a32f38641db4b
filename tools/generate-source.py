#!/usr/bin/env python3
"""Writes a C or C++ file of about the given number of lines, always the same one for the same arguments.

It is food for compilers: structures, tables, switches, nested loops, floating point, strings, hash tables and lists
for C; the same and class hierarchies, templates, containers and lambdas for C++. It compiles without a warning about
anything undefined, and a program made of it runs and prints a checksum.

usage: generate-source.py [--c++] [--seed N] [--no-main] [--prefix NAME] LINES
"""
import argparse


class Dice:
    """A fixed generator, so that the text does not depend on the version of Python."""

    def __init__(self, seed):
        self.state = seed * 2862933555777941757 + 3037000493

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % bound

    def pick(self, choices):
        return choices[self.below(len(choices))]


class Writer:
    def __init__(self, dice, prefix):
        self.dice = dice
        self.prefix = prefix
        self.lines = []
        self.functions = []

    def add(self, text):
        self.lines.extend(text.strip("\n").split("\n"))
        self.lines.append("")

    def name(self, kind):
        return f"{self.prefix}_{kind}_{len(self.functions)}"

    def expression(self, names, depth):
        """An unsigned expression without undefined behaviour over the given variables."""
        dice = self.dice
        if depth == 0 or dice.below(6) == 0:
            return dice.pick(names) if dice.below(3) else f"{dice.below(1 << 16)}u"
        left = self.expression(names, depth - 1)
        right = self.expression(names, depth - 1)
        shape = dice.below(9)
        if shape < 4:
            return f"({left} {dice.pick('+-*^')} {right})"
        if shape == 4:
            return f"({left} / (({right}) | 1u))"
        if shape == 5:
            return f"({left} >> (({right}) & 15u))"
        if shape == 6:
            return f"(({left} ^ {1 + dice.below(999)}u) > ({right} & {1 + dice.below(999999)}u) ? {self.expression(names, depth - 1)} : {dice.pick(names)})"
        if shape == 7:
            return f"({left} & ~{right})"
        return f"rotate({left}, {1 + dice.below(31)})"


def arithmetic(w):
    name = w.name("mix")
    body = "\n".join(
        f"    {w.dice.pick(['a', 'b', 'c'])} {w.dice.pick(['+=', '^=', '-='])} {w.expression(['a', 'b', 'c'], 4)};"
        for _ in range(4 + w.dice.below(10)))
    w.add(f"static unsigned {name}(unsigned a, unsigned b)\n{{\n    unsigned c = a ^ b;\n{body}\n    return a + b * c;\n}}")
    w.functions.append(name)


def switching(w):
    name = w.name("decode")
    cases = 6 + w.dice.below(24)
    body = "".join(
        f"        case {i * 3 + w.dice.below(3)}:\n            state += {w.expression(['state', 'b', 'i'], 2)};\n"
        f"            break;\n" for i in range(cases))
    w.add(f"""static unsigned {name}(unsigned a, unsigned b)
{{
    unsigned state = a;
    for (unsigned i = 0; i < (b & 31u); i++) {{
        switch (state % {cases * 3}u) {{
{body}        default:
            state += i;
        }}
    }}
    return state;
}}""")
    w.functions.append(name)


def matrix(w):
    name = w.name("matrix")
    size = 4 + w.dice.below(12)
    w.add(f"""static unsigned {name}(unsigned a, unsigned b)
{{
    double left[{size}][{size}], right[{size}][{size}], product[{size}][{size}];
    for (unsigned i = 0; i < {size}; i++) {{
        for (unsigned j = 0; j < {size}; j++) {{
            left[i][j] = (double)((a + i * {1 + w.dice.below(9)}u + j) & 255u) / 16.0;
            right[i][j] = (double)((b + j * {1 + w.dice.below(9)}u + i) & 255u) * 0.25;
            product[i][j] = 0.0;
        }}
    }}
    for (unsigned i = 0; i < {size}; i++) {{
        for (unsigned j = 0; j < {size}; j++) {{
            for (unsigned k = 0; k < {size}; k++) {{
                product[i][j] += left[i][k] * right[k][j];
            }}
        }}
    }}
    return (unsigned)product[a % {size}u][b % {size}u];
}}""")
    w.functions.append(name)


def table(w):
    name = w.name("table")
    rows = 8 + w.dice.below(32)
    entries = "\n".join(
        f'    {{"{name}_{i}", {w.dice.below(100000)}u, {{{", ".join(str(w.dice.below(256)) for _ in range(8))}}}}},'
        for i in range(rows))
    w.add(f"""static const struct {name}_row {{
    const char *label;
    unsigned key;
    unsigned char bytes[8];
}} {name}_rows[] = {{
{entries}
}};

static unsigned {name}(unsigned a, unsigned b)
{{
    const struct {name}_row *row = &{name}_rows[a % {rows}u];
    unsigned sum = row->key ^ b;
    for (const char *p = row->label; *p != 0; p++) {{
        sum = rotate(sum, 5) + (unsigned char)*p;
    }}
    for (unsigned i = 0; i < 8; i++) {{
        sum += (unsigned)row->bytes[i] << (i * 2);
    }}
    return sum;
}}""")
    w.functions.append(name)


def linked(w):
    name = w.name("list")
    w.add(f"""struct {name}_node {{
    struct {name}_node *next;
    unsigned value, weight[{1 + w.dice.below(12)}];
}};

static unsigned {name}(unsigned a, unsigned b)
{{
    struct {name}_node nodes[{8 + w.dice.below(24)}];
    struct {name}_node *head = 0, *reversed = 0;
    unsigned sum = 0;
    for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {{
        nodes[i].next = head;
        nodes[i].value = {w.expression(['a', 'b', 'i'], 3)};
        nodes[i].weight[0] = i;
        head = &nodes[i];
    }}
    while (head) {{
        struct {name}_node *next = head->next;
        head->next = reversed;
        reversed = head;
        head = next;
    }}
    for (; reversed; reversed = reversed->next) {{
        sum += reversed->value * (reversed->weight[0] | 1u);
    }}
    return sum;
}}""")
    w.functions.append(name)


def calling(w):
    name = w.name("plan")
    if len(w.functions) < 4:
        return arithmetic(w)
    calls = "\n".join(
        f"    if ({w.expression(['a', 'b'], 1)} % {2 + w.dice.below(5)}u) {{\n"
        f"        b ^= {w.dice.pick(w.functions)}({w.expression(['a', 'b'], 2)}, a);\n    }}"
        for _ in range(3 + w.dice.below(5)))
    w.add(f"static unsigned {name}(unsigned a, unsigned b)\n{{\n{calls}\n    return a ^ b;\n}}")
    return w.functions.append(name)


def shapes(w):
    name = w.name("shape")
    kinds = 2 + w.dice.below(4)
    classes = "\n".join(
        f"""class {name}_{i} final : public {name}_base {{
    std::vector<unsigned> parts;
public:
    explicit {name}_{i}(unsigned n) {{ for (unsigned k = 0; k < n % {5 + i * 7}u; k++) parts.push_back({w.expression(['n', 'k'], 2)}); }}
    unsigned area() const override {{ return std::accumulate(parts.begin(), parts.end(), {i}u); }}
}};""" for i in range(kinds))
    cases = "\n".join(f"        case {i}: all.push_back(std::make_unique<{name}_{i}>(b + i)); break;" for i in range(kinds))
    w.add(f"""class {name}_base {{
public:
    virtual ~{name}_base() = default;
    virtual unsigned area() const = 0;
}};
{classes}

static unsigned {name}(unsigned a, unsigned b)
{{
    std::vector<std::unique_ptr<{name}_base>> all;
    for (unsigned i = 0; i < 8; i++) {{
        switch ((a + i) % {kinds}u) {{
{cases}
        }}
    }}
    unsigned sum = 0;
    for (const auto &shape : all) sum += shape->area();
    return sum;
}}""")
    w.functions.append(name)


def containers(w):
    name = w.name("index")
    kind = w.dice.pick(["std::map", "std::unordered_map"])
    w.add(f"""template <typename Key, unsigned Salt> struct {name}_index {{
    {kind}<Key, std::vector<unsigned>> entries;
    void add(const Key &key, unsigned value) {{ entries[key].push_back(value ^ Salt); }}
    unsigned total() const
    {{
        unsigned sum = Salt;
        for (const auto &[key, values] : entries)
            for (unsigned value : values) sum += value;
        return sum;
    }}
}};

static unsigned {name}(unsigned a, unsigned b)
{{
    {name}_index<std::string, {w.dice.below(1000)}> words;
    {name}_index<unsigned, {w.dice.below(1000)}> numbers;
    for (unsigned i = 0; i < 12; i++) {{
        words.add(std::to_string({w.expression(['a', 'b', 'i'], 2)}), i);
        numbers.add({w.expression(['a', 'b', 'i'], 2)}, i);
    }}
    std::vector<unsigned> order{{a, b, words.total(), numbers.total()}};
    std::sort(order.begin(), order.end(), [a](unsigned x, unsigned y) {{ return (x ^ a) < (y ^ a); }});
    return order[{w.dice.below(4)}] + words.total();
}}""")
    w.functions.append(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--c++", dest="cxx", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-main", action="store_true")
    parser.add_argument("--prefix", default="g")
    parser.add_argument("lines", type=int)
    options = parser.parse_args()

    w = Writer(Dice(options.seed), options.prefix)
    makers = [arithmetic, arithmetic, switching, matrix, table, linked, calling]
    headers = ["stdio.h", "stdlib.h", "string.h"]
    if options.cxx:
        headers += ["algorithm", "map", "memory", "numeric", "string", "unordered_map", "vector"]
        makers += [shapes, shapes, containers, containers]
    w.add("\n".join(f"#include <{header}>" for header in headers))
    w.add("static inline unsigned rotate(unsigned value, unsigned by)\n{\n"
          "    return (value << (by & 31u)) | (value >> ((32u - by) & 31u));\n}")
    while len(w.lines) < options.lines:
        w.dice.pick(makers)(w)
    calls = "\n".join(f"    sum = rotate(sum, 7) ^ {f}(sum, {w.dice.below(1000)}u);" for f in w.functions)
    w.add(f"unsigned {w.prefix}_checksum(unsigned sum);\nunsigned {w.prefix}_checksum(unsigned sum)\n{{\n{calls}\n    return sum;\n}}")
    if not options.no_main:
        w.add(f'int main(void)\n{{\n    printf("%u\\n", {w.prefix}_checksum(1));\n    return 0;\n}}')
    print("\n".join(w.lines), end="")


main()
