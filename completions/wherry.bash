# Completion of wherry for bash. It asks wherry, which knows its commands and
# options and what there is. For a link or an alias of another name:
#   complete -F _wherry docker

_wherry() {
    local program=$1 line=${COMP_LINE:0:COMP_POINT} i word answer shell
    local -a words=() lines
    # Bash has split the line at = and : as well: what touches is one word.
    line=${line#*"${COMP_WORDS[0]}"}
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${line#"${line%%[![:blank:]]*}"}
        if [[ ${#words[@]} == 0 || $word != "$line" ]]; then
            words+=("")
        fi
        line=$word
        # The last word reaches to the cursor, not to its end.
        ((i == COMP_CWORD)) || word=${COMP_WORDS[i]}
        words[-1]+=$word
        line=${line#"$word"}
    done

    program=${program/#\~/$HOME}
    [[ $(type -t "$program") == file ]] || program=wherry
    answer=$("$program" __complete "${words[@]}" 2>/dev/null) || return
    mapfile -t lines <<<"$answer"
    shell=${lines[-1]#:}
    unset 'lines[-1]'
    if [[ ${#lines[@]} == 0 ]]; then
        case $shell in
        0) compopt -o default ;;
        16) compopt -o dirnames ;;
        esac
        return
    fi

    # The answer is the whole value; bash wants what is behind the last = or :.
    local current=${words[-1]} option= kept= breaks=${COMP_WORDBREAKS//[^=:]/}
    [[ $current != -*=* ]] || option=${current%%=*}=
    [[ -z $breaks ]] || kept=${current%"${current##*[$breaks]}"}
    lines=("${lines[@]%%$'\t'*}")
    lines=("${lines[@]/#/$option}")
    COMPREPLY=("${lines[@]#"$kept"}")
    ((!(shell & 2))) || compopt -o nospace
}

complete -F _wherry wherry
