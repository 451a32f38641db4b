# shellcheck shell=bash
# bash completion of cutback-run: its options, which it is asked for; then the program, and what that completes itself.

# What --help says is an option, and whether it takes a value.
_cutback_run_options() { "$1" --help 2>/dev/null | grep -oE '^  (-., )?--[a-z-]+( [A-Z])?' | sed -E 's/^  (-., )?//'; }

_cutback_run_heap_options() { "$1" --help 2>/dev/null | sed -n '/^Options of cutback/,/^$/s/^  //p'; }

_cutback_run_reply() { mapfile -t COMPREPLY < <(compgen "$@"); }

_cutback_run() {
    local run=$1 word=$2 options i
    COMPREPLY=()
    options=$(_cutback_run_options "$run")
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --)
            ((i++))
            break
            ;;
        -n | =) ((i++)) ;; # bash takes --stats=json for three words
        --*) grep -qE -e "^${COMP_WORDS[i]} [A-Z]" <<<"$options" && ((i++)) ;;
        *) break ;;
        esac
    done
    if ((i < COMP_CWORD)); then # the program is there already
        if declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        else
            _cutback_run_reply -f -- "$word"
        fi
        return
    fi
    if [ "${COMP_WORDS[COMP_CWORD]}" = = ] || [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
        [[ " ${COMP_WORDS[*]:COMP_CWORD - 2:3}" != *' --stats ='* ]] || _cutback_run_reply -W 'text json' -- "${word#=}"
        return
    fi
    if ((i == COMP_CWORD)); then
        case $word in
        -*) _cutback_run_reply -W "${options// [A-Z]/}" -- "$word" ;;
        *) _cutback_run_reply -c -- "$word" ;;
        esac
        return
    fi
    case ${COMP_WORDS[COMP_CWORD - 1]} in # the value of an option
    --json | --record | --report | --stats-file) _cutback_run_reply -f -- "$word" ;;
    --only | --prepare) _cutback_run_reply -c -- "$word" ;;
    --option)
        compopt -o nospace 2>/dev/null
        _cutback_run_reply -S = -W "$(_cutback_run_heap_options "$run")" -- "$word"
        ;;
    esac
}

complete -F _cutback_run cutback-run
