# Completion of wherry for fish. It asks wherry, which knows its commands and
# options and what there is. For a link of another name:
#   complete -c docker -w wherry

function __wherry_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l lines ($program __complete $words "$typed" 2>/dev/null)
    or return
    set -l shell (string sub -s 2 -- $lines[-1])
    set -e lines[-1]
    # The answer is the value alone.
    set -l option (string match -r -- '^-[^=]*=' $typed)
    if test (count $lines) -eq 0
        set -l value (string replace -r -- '^-[^=]*=' '' $typed)
        switch $shell
            case 0
                set lines (__fish_complete_path $value)
            case 16
                set lines (__fish_complete_directories $value)
        end
    end
    for line in $lines
        printf '%s%s\n' "$option" $line
    end
end

complete -c wherry -f -a '(__wherry_complete)'
