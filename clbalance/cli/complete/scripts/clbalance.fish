# fish completion for clbalance: clbalance completion fish | source
function __clbalance_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (_CLBALANCE_COMPLETE=words command clbalance $before[2..-1] "$current" 2>/dev/null)
    set -l kept (string match -r -- '^--[^=]*=' "$current"; or echo)
    switch "$answer[1]"
        case words
            string join \n -- $answer[2..-1]
        case files
            string join \n -- $kept(__fish_complete_path (string replace -- "$kept" '' "$current"))
        case folders
            string join \n -- $kept(__fish_complete_directories (string replace -- "$kept" '' "$current"))
        case commands
            __fish_complete_command
    end
end
complete -c clbalance -f -k -a '(__clbalance_complete)'
