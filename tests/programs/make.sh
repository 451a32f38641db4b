#!/bin/bash
# make -j4 builds a generated project of 24 files, and this project's own sources, each once, where a build folder is given by
# CUTBACK_BUILD: everything that make, gcc, as and ld do there happens under the library.
. "$(dirname "$0")/common.sh"
need make gcc python3
for i in {1..24}; do
    generate "$input/part$i.c" --no-main --seed "$i" --prefix "part$i" 150
done
{
    printf 'unsigned part%d_checksum(unsigned);\n' {1..24}
    printf '#include <stdio.h>\nint main(void) { unsigned sum = 0;\n'
    printf 'sum = part%d_checksum(sum);\n' {1..24}
    printf 'printf("%%u\\n", sum); return 0; }\n'
} >"$input/main.c"
cat >"$input/Makefile" <<'END'
objects := $(patsubst %.c,%.o,$(notdir $(wildcard $(input)/*.c)))
all: program own
	./program
program: $(sort $(objects))
	gcc $^ -o $@
%.o: $(input)/%.c
	gcc -O1 -c $< -o $@
own:
	$(MAKE) -f $(input)/Makefile.own
END
python3 - "${CUTBACK_BUILD:-}" >"$input/Makefile.own" <<'END'
import json, os, shlex, sys

entries = []
if sys.argv[1]:
    with open(os.path.join(sys.argv[1], "compile_commands.json")) as file:
        paths = {os.path.abspath(os.path.join(e["directory"], e["file"])): e for e in json.load(file)}
    entries = [entry for path, entry in paths.items() if "/src/" in path] # each once, of the libraries that have it
print("here := $(CURDIR)")
print("all:", *(f"own{i}.o" for i in range(len(entries))))
for i, entry in enumerate(entries):
    words, kept = iter(shlex.split(entry["command"])), []
    for word in words:
        if word in ("-o", "-MF", "-MQ", "-MT"):
            next(words)
        elif word not in ("-MD", "-MMD"):
            kept.append(word)
    command = shlex.join(kept).replace("$", "$$")
    print(f"own{i}.o:\n\tcd {shlex.quote(entry['directory'])} && {command} -o $(here)/$@")
END
work() {
    make -s -j4 -f "$input/Makefile" input="$input" >log 2>&1
    local status=$?
    sort log && rm log
    return $status
}
same
mapped make gcc cc1 as ld program
