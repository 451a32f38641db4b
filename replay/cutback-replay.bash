# shellcheck shell=bash
# bash completion of cutback-replay: its options, which it is asked for, their values, and a file.

_cutback_replay_reply() { mapfile -t COMPREPLY < <(compgen "$@"); }

# _cutback_replay_value OPTION WORD: what may stand for its value.
_cutback_replay_value() {
    case $1 in
    -m | --malloc) _cutback_replay_reply -f -W 'glibc cutback jemalloc mimalloc tcmalloc snmalloc rpmalloc scudo' -- "$2" ;;
    -c | --check) _cutback_replay_reply -W 'ends all none' -- "$2" ;;
    --dump | --advise) _cutback_replay_reply -W 'text json' -- "$2" ;;
    --shrink) _cutback_replay_reply -f -- "$2" ;;
    --test) _cutback_replay_reply -c -- "$2" ;;
    esac
}

_cutback_replay() {
    local replay=$1 word=$2 before=${COMP_WORDS[COMP_CWORD - 1]} options
    COMPREPLY=()
    if [ "${COMP_WORDS[COMP_CWORD]}" = = ]; then # bash takes --dump=text for three words
        word=
    elif [ "$before" = = ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $before == --dump || $before == --advise ]]; then # a value only after =
        before=
    fi
    case $before in
    -m | -c | --malloc | --check | --dump | --advise | --shrink | --test)
        _cutback_replay_value "$before" "$word"
        return
        ;;
    esac
    case $word in
    -*)
        options=$("$replay" --help 2>/dev/null | grep -oE '^  (-., )?--[a-z-]+' | sed -E 's/^  (-., )?//')
        _cutback_replay_reply -W "$options" -- "$word"
        ;;
    *) _cutback_replay_reply -f -- "$word" ;;
    esac
}

complete -F _cutback_replay cutback-replay
