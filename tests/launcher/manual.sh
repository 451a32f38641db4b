#!/bin/bash
# The manual page, --help and the completion of bash name the same options.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/common.sh"
page=${CUTBACK_MANUAL:?the manual page}
completion=${CUTBACK_COMPLETION:?the completion of bash}

# by_help: "--rounds ROUNDS", "--check", ... sorted; by_page: the same, as the list of options has them.
by_help=$("$run" --help | sed -nE 's/^  (-(.), )?(--[a-z-]+)(\[=[A-Z]+\])?( ([A-Z=,.]+))? .*/\3 \4\6/p' | sed 's/ *$//' | sort)
by_page=$(sed -nE 's/^\.It (Fl [a-z] Ar [a-z]+ , )?Fl -/--/p' "$page" |
    sed -E 's/ Ns Op = Ns Ar ([a-z]+)/ [=\1]/; s/ Ns = Ns Ar /=/; s/ , Ns Ar \.\.\./,.../; s/ Ar / /' | tr '[:lower:]' '[:upper:]' | sort)
[ "$(tr '[:lower:]' '[:upper:]' <<<"$by_help")" = "$by_page" ] || {
    wrong "the manual page has other options than --help"
    diff <(tr '[:lower:]' '[:upper:]' <<<"$by_help") <(echo "$by_page") >&2
}
letters=$("$run" --help | sed -nE 's/^  -(.), .*/\1/p')
for letter in $letters; do
    grep -qE "^\.It Fl $letter " "$page" || wrong "-$letter is not in the manual page"
done
[ "$(wc -l <<<"$by_help")" -ge 10 ] || wrong "only these options are known to --help: $by_help"

# The first lines of the page name each option again.
for option in $(sed 's/ .*//' <<<"$by_help"); do
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | grep -qE -e "Fl -${option#--}( |$)" || [ "$option" = --rounds ] ||
        wrong "$option is not in the synopsis"
done

# All lines of --help fit a terminal.
[ "$("$run" --help | awk 'length > 80')" = '' ] || wrong "--help has long lines"

# ---- Completion ----

# complete_words WORD...: what is offered for the last of them.
complete_words() {
    COMP_WORDS=(cutback-run "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _cutback_run "$run" "${!#}" cutback-run
    printf '%s\n' "${COMPREPLY[@]}" | sort
}
# shellcheck source=/dev/null
. "$completion"
[ "$(complete_words --)" = "$(sed 's/ .*//' <<<"$by_help")" ] || wrong "the completion offers: $(complete_words --)"
[ "$(complete_words --comp)" = --compare ] || wrong "--comp is completed as: $(complete_words --comp)"
[ "$(complete_words --compare -n 3 --prep)" = --prepare ] || wrong "after a value: $(complete_words --compare -n 3 --prep)"
[ "$(complete_words --option purg)" = purge= ] || wrong "an option of the heap: $(complete_words --option purg)"
complete_words --option x=1 mktem | grep -qx mktemp || wrong "a program is not completed"
complete_words -- mktem | grep -qx mktemp || wrong "a program is not completed after --"
: >some-file
[ "$(complete_words --json some)" = some-file ] || wrong "a file is not completed"
[ "$(complete_words --stats --stats-file some)" = some-file ] || wrong "a file for statistics is not completed"
# bash takes --stats=j for three words
for words in '--stats = j' '--option purge=now --stats = j' '--option purge = now --stats = j'; do
    # shellcheck disable=SC2086 # words
    [ "$(complete_words $words)" = json ] || wrong "$words is completed as: $(complete_words $words)"
done
complete_words --stats = json mktem | grep -qx mktemp || wrong "a program is not completed after --stats=json"
[ "$(complete_words cat some)" = some-file ] || wrong "an argument of the program is not completed"
[ "$(complete_words cat --)" = '' ] || wrong "options are offered after the program: $(complete_words cat --)"

done_testing
