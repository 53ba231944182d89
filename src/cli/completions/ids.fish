
# The ids that a command takes, from the database.
function __fish_talkmirror_ids
    set -l words (commandline -opc)
    set -l config
    if set -l at (contains -i -- --config $words)
        set config --config $words[(math $at + 1)]
    end
    $words[1] $config completions --ids $argv[1] 2>/dev/null
end
