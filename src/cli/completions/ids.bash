
# The ids that a command takes, from the database.
_talkmirror_with_ids() {
    _talkmirror "$@"
    local current=${COMP_WORDS[COMP_CWORD]} commands="" kind i
    local -a config=()
    [[ $current == -* || ${COMP_WORDS[COMP_CWORD - 1]} == --config ]] && return
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --config) config=(--config "${COMP_WORDS[++i]}") ;;
            -*) ;;
            *) commands+=" ${COMP_WORDS[i]}" ;;
        esac
    done
    case "${commands# } " in
        "why " | "close "*) kind=open ;;
        "queue retry "*) kind=failed ;;
        "queue drop "*) kind=queued ;;
        "exempt remove "*) kind=exempt ;;
        *) return ;;
    esac
    COMPREPLY=($(compgen -W "$("$1" "${config[@]}" completions --ids "$kind" 2>/dev/null)" -- "$current"))
}
complete -F _talkmirror_with_ids -o nosort -o bashdefault -o default talkmirror 2>/dev/null ||
    complete -F _talkmirror_with_ids -o bashdefault -o default talkmirror
