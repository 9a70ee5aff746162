#compdef clbalance
# zsh completion for clbalance: eval "$(clbalance completion zsh)", after compinit
_clbalance() {
    local line
    local -a answer names shown
    answer=("${(@f)$(_CLBALANCE_COMPLETE=words command clbalance "${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    case ${answer[1]} in
    words)
        for line in "${(@)answer[2,-1]}"; do
            names+=("${line%%$'\t'*}")
            shown+=("${${line/$'\t'/  -- }%  -- }")
        done
        compadd -V clbalance -l -d shown -a names
        ;;
    files) compset -P '--*='; _files ;;
    folders) compset -P '--*='; _files -/ ;;
    commands) _command_names -e ;;
    esac
}
if [[ ${funcstack[1]-} == _clbalance ]]; then _clbalance "$@"; else compdef _clbalance clbalance; fi
