# The ids that a command takes, from the database. _arguments puts options before the kind.
_talkmirror_ids() {
    local -a typed=("${(z)BUFFER}") config
    local at=$typed[(i)--config]
    (( at < $#typed )) && config=(--config ${(Q)typed[at+1]})
    compadd -V ids -- ${(f)"$(${(Q)~typed[1]} $config completions --ids $@[-1] 2>/dev/null)"}
}

