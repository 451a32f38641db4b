# shellcheck shell=bash
# What the tests of the launcher share; each of them sources this file first.
#
# CUTBACK_RUN is the launcher under test, CUTBACK_PRELOAD the library that it is to preload.

set -u
unset LD_PRELOAD LD_LIBRARY_PATH CUTBACK_OPTIONS CUTBACK_ONLY CUTBACK_ONLY_PRELOAD
export LC_ALL=C

# shellcheck disable=SC2034 # the tests use both
run=${CUTBACK_RUN:?the launcher to test}
# shellcheck disable=SC2034
preload=$(realpath "${CUTBACK_PRELOAD:?the library that it preloads}") || exit 1
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cutback-launcher.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' INT TERM
cd "$scratch" || exit 1
failures=0

wrong() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

skip() {
    echo "SKIP: $*"
    exit 77
}

# try STATUS COMMAND...: runs it, with its output in out and err; its exit status must be this.
try() {
    local expected=$1 status=0
    shift
    tried="$*"
    "$@" >out 2>err </dev/null || status=$?
    if [ $status != "$expected" ]; then
        wrong "$tried: exit status $status, not $expected"
        head -n 20 out err >&2
    fi
}

# said TEXT, told TEXT: standard output or standard error of the last try has it somewhere.
said() {
    grep -qF -e "$1" out || { wrong "$tried: does not say: $1" && cat out >&2; }
}
told() {
    grep -qF -e "$1" err || { wrong "$tried: does not tell: $1" && cat err >&2; }
}
unsaid() {
    ! grep -qF -e "$1" out || { wrong "$tried: says: $1" && cat out >&2; }
}
# quiet: and nothing on standard error.
quiet() {
    [ ! -s err ] || { wrong "$tried: tells something" && cat err >&2; }
}
# one_line: exactly one, on standard error, of the launcher's.
one_line() {
    if [ "$(wc -l <err)" != 1 ] || ! grep -q '^cutback-run: ' err; then
        wrong "$tried: not one line of its own" && cat err >&2
    fi
}

done_testing() {
    [ $failures = 0 ] || exit 1
    echo "all as expected"
}
