# bash completion for clbalance: eval "$(clbalance completion bash)"
_clbalance() {
    local answer
    COMPREPLY=()
    mapfile -t answer < <(_CLBALANCE_COMPLETE=line command clbalance "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    case ${answer[0]-} in
    words) COMPREPLY=("${answer[@]:1}") ;;
    files) compopt -o default ;;
    folders) compopt -o dirnames ;;
    commands) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
    esac
}
complete -o nosort -F _clbalance clbalance 2>/dev/null || complete -F _clbalance clbalance
