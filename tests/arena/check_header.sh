#!/bin/sh
# The headers compile without a warning in every language that they are for, with each compiler, expanded and as calls; a
# layout of another size is refused; the version is the project's; and compilers warn of wrong uses.
#
# Usage: check_header.sh SOURCE_DIRECTORY ARCHIVE VERSION. Exit status 0, 1, 77 (skipped: the archive is instrumented).
set -eu

here=$(dirname "$0")
source=$1
archive=$2
version=$3
if nm -P "$archive" | grep -q -e ' *__asan_' -e '^__ubsan_' -e '^__tsan_' -e '^__llvm_profile'; then
  echo "skipped: built with instrumentation"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
  echo "FAILED: $*"
  failed=1
}

warnings="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"

runs() { # COMPILER LANGUAGE STANDARD, then more arguments
  compiler=$1
  language=$2
  standard=$3
  shift 3
  command -v "$compiler" >/dev/null || return 0
  for level in -O0 -O2 -Os; do
    # shellcheck disable=SC2086
    if ! "$compiler" -x "$language" -std="$standard" $warnings $level "$@" -I"$source" "$here/surface.c" \
      -x none "$archive" -o "$work/surface"; then
      fail "$compiler -std=$standard $level $*: it does not compile"
    elif ! "$work/surface"; then
      fail "$compiler -std=$standard $level $*: it does not run"
    fi
  done
}

for standard in c99 c11 c17; do
  for compiler in gcc clang; do
    runs $compiler c $standard
    runs $compiler c $standard -DCUTBACK_CALLS
  done
done
runs gcc c gnu99 -fgnu89-inline
runs clang c gnu99 -fgnu89-inline
for standard in c++11 c++14 c++17 c++20; do
  for compiler in g++ clang++; do
    runs $compiler c++ $standard
    runs $compiler c++ $standard -DCUTBACK_CALLS
  done
done

# cutback.hpp: and each result that must not be dropped is one that compilers warn of.
echo '#include "cutback.hpp"' >"$work/alone.cpp"
cat >"$work/dropped.cpp" <<'END'
#include "cutback.hpp"
void dropped(cutback::arena<64> &arena, cutback::allocator<int> allocator, cutback::scope (*open)()) {
    arena.allocate(8);
    allocator.allocate(2);
    cutback::create<int>(arena);
    cutback::make_unique<int>(arena);
    cutback::scope(arena).is_open();
    open();
}
END
for compiler in g++ clang++; do
  command -v "$compiler" >/dev/null || continue
  # shellcheck disable=SC2086
  "$compiler" -std=c++20 -fno-rtti -fno-exceptions $warnings -I"$source" -fsyntax-only "$work/alone.cpp" ||
    fail "$compiler -std=c++20: cutback.hpp does not compile"
  said=$("$compiler" -std=c++17 -I"$source" -fsyntax-only "$work/dropped.cpp" 2>&1 | grep -c 'warning: ignoring return')
  [ "$said" = 6 ] || fail "$compiler warns of $said dropped results, not of 6"
done

# Another number of scopes than the library's: neither way of initialising gives an arena.
cat >"$work/scopes.c" <<'END'
#define CUTBACK_SCOPES 8
#include "cutback.h"
static unsigned char memory[64];
static cutback_slot ring[4];
static cutback_arena arena = CUTBACK_INIT(memory, ring);
int main(void) {
    if (cutback_alloc(&arena, 1, 1) != NULL)
        return 1;
    return cutback_init(&arena, memory, sizeof memory, ring, 4) || cutback_alloc(&arena, 1, 1) != NULL;
}
END
if ! { cc -O2 -I"$source" "$work/scopes.c" "$archive" -o "$work/scopes" && "$work/scopes"; }; then
  fail "an arena of another layout is not refused"
fi

# A program and a library that do not agree on CUTBACK_MINIMAL, or with it on the number of scopes, do not link.
cat >"$work/small.c" <<'END'
#include "cutback.h"
static unsigned char memory[64];
static cutback_slot ring[4];
static cutback_arena arena = CUTBACK_INIT(memory, ring);
int main(void) {
    void *p = cutback_alloc(&arena, 8, 8);
    cutback_free(&arena, p, 8);
    return cutback_used(&arena) != 0 || !cutback_reset(&arena, cutback_mark_set(&arena));
}
END
# shellcheck disable=SC2086
cc -std=c11 $warnings -DCUTBACK_MINIMAL -I"$source" -c "$source/arena/minimal.c" -o "$work/minimal.o"
for flags in -DCUTBACK_MINIMAL '-DCUTBACK_MINIMAL -DCUTBACK_SCOPES=4' ''; do
  for library in "$work/minimal.o" "$archive"; do
    agree=$([ "$flags $library" = "-DCUTBACK_MINIMAL $work/minimal.o" ] || [ "$flags $library" = " $archive" ] && echo yes || echo no)
    # shellcheck disable=SC2086
    linked=$(cc -std=c11 $warnings -O2 $flags -I"$source" "$work/small.c" "$library" -o "$work/small" 2>/dev/null &&
      "$work/small" && echo yes || echo no)
    [ "$agree" = "$linked" ] || fail "a program with '$flags' and $(basename "$library"): links and runs: $linked"
  done
done

cat >"$work/version.c" <<'END'
#include "cutback.h"
CUTBACK_VERSION_MAJOR.CUTBACK_VERSION_MINOR.CUTBACK_VERSION_PATCH
END
said=$(cc -E -P -I"$source" "$work/version.c" | tail -n 1 | tr -d ' ')
[ "$said" = "$version" ] || fail "the header says version $said, the project $version"

# warned FLAG WHAT, then arguments: gcc 11 or later warns so of the program on standard input.
warned() {
  flag=$1
  what=$2
  shift 2
  { echo '#include <stdlib.h>'; echo '#include "cutback_chain.h"'; cat; } >"$work/wrong.c"
  gcc "$@" -Wall -I"$source" -c "$work/wrong.c" -o "$work/wrong.o" 2>"$work/said" || true
  grep -q -e "$flag" "$work/said" || { cat "$work/said"; fail "gcc does not warn of $what"; }
}
if command -v gcc >/dev/null && [ "$(gcc -dumpversion | cut -d. -f1)" -ge 11 ]; then
  warned -Wunused-result 'a block that is dropped' <<'END'
void wrong(cutback_arena *arena) { cutback_alloc(arena, 8, 8); }
END
  warned -Wmismatched-dealloc 'free() of a block' -DCUTBACK_CALLS <<'END'
void wrong(cutback_arena *arena) { void *p = cutback_alloc(arena, 8, 8); free(p); }
END
  warned -Wmismatched-dealloc 'cutback_free() of memory of malloc' -DCUTBACK_CALLS <<'END'
void wrong(cutback_arena *arena) { void *p = malloc(8); cutback_free(arena, p, 8); }
END
  warned -Wmismatched-dealloc 'cutback_free() of a block of a chain' -DCUTBACK_CALLS <<'END'
void wrong(cutback_arena *arena, cutback_chain *chain) { void *p = cutback_chain_alloc(chain, 8, 8); cutback_free(arena, p, 8); }
END
  warned -Wfree-nonheap-object 'a free inside a block' -DCUTBACK_CALLS -O2 <<'END'
void wrong(cutback_arena *arena) { char *p = (char *)cutback_alloc(arena, 8, 8); cutback_free(arena, p + 4, 4); }
END
  warned -Wanalyzer-mismatching-deallocation 'free() of a block, by its analyser' -DCUTBACK_CALLS -fanalyzer <<'END'
void wrong(cutback_arena *arena) { void *p = cutback_alloc(arena, 8, 8); free(p); }
END
  warned -Wanalyzer-double-free 'a second free, by its analyser' -DCUTBACK_CALLS -fanalyzer <<'END'
void wrong(cutback_arena *arena) { void *p = cutback_alloc(arena, 8, 8); cutback_free(arena, p, 8); cutback_free(arena, p, 8); }
END
  warned -Warray-bounds 'a write beyond a block' -DCUTBACK_CALLS -O2 <<'END'
char *wrong(cutback_arena *arena) { char *p = (char *)cutback_alloc(arena, 8, 8); p[8] = 1; return p; }
END
fi
exit $failed
