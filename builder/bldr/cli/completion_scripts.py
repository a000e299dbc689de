"""The completion scripts themselves. Targets are asked of `bldr query`, when a word begins like a label."""

import shlex

from bldr.cli.completion import CommandWords, Option

_BASH = """\
# bash completion of bldr; made by `bldr completion bash`

_bldr_targets() {
    bldr query -q //... 2>/dev/null
}

_bldr() {
    # COMP_WORDS is of no use: bash breaks labels and --option=value apart at ":" and "=".
    local line=${COMP_LINE:0:COMP_POINT} word command='' previous='' current='' index
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    current=${words[-1]}
    for ((index = 1; index < ${#words[@]} - 1; index++)); do
        word=${words[index]}
        [[ -z $command && $word != -* ]] && command=$word
        previous=$word
    done
    local options='' values='' kind='' typed=$current
    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W @COMMANDS@ -- "$current"))
        return
    fi
    if [[ $current == --*=* ]]; then
        previous=${current%%=*}
        typed=${current#*=}
    fi
    case $command in
@CASES@
    esac
    if [[ $kind == target && $typed != /* && $typed != :* && $typed != @* ]]; then
        kind=''
        [[ -z $typed ]] && kind=target
    fi
    case $kind in
        file) COMPREPLY=($(compgen -f -- "$typed")) ;;
        directory) COMPREPLY=($(compgen -d -- "$typed")) ;;
        choice) COMPREPLY=($(compgen -W "$values" -- "$typed")) ;;
        target) COMPREPLY=($(compgen -W "$(_bldr_targets)" -- "$typed")) ;;
    esac
    if [[ $current == -* && $current != --*=* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
    fi
    # Readline replaces only what follows the last ":" of the word, where that character breaks words.
    if [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]]; then
        local prefix=${typed%"${typed##*:}"}
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
}

complete -o default -F _bldr bldr
"""


def bash(commands: list[CommandWords]) -> str:
    """For bash 4.2 and later, with or without the package bash-completion."""
    cases = []
    for command in commands:
        options = " ".join(name for option in command.options for name in option.names)
        lines = [f"        {command.name})", f"            options={shlex.quote(options)}"]
        values = [option for option in command.options if option.value]
        lines.append("            case $previous in")
        for option in values:
            choices = f" values={shlex.quote(' '.join(option.choices))}" if option.choices else ""
            lines.append(f"                {'|'.join(option.names)}) kind={option.value}{choices} ;;")
        choices = f" values={shlex.quote(' '.join(command.choices))}" if command.choices else ""
        lines += [f"                *) kind={command.positional}{choices} ;;", "            esac", "            ;;"]
        cases.append("\n".join(lines))
    names = shlex.quote(" ".join([*(command.name for command in commands), "help", "--version", "--help", "-C"]))
    return _BASH.replace("@COMMANDS@", names).replace("@CASES@", "\n".join(cases))


_ZSH = """\
#compdef bldr
# zsh completion of bldr; made by `bldr completion zsh`

_bldr_targets() {
    local -a targets
    targets=(${(f)"$(bldr query -q //... 2>/dev/null)"})
    compadd -a targets
}

_bldr() {
    local context state state_descr line
    typeset -A opt_args
    _arguments -C '-C[stand in this directory]:directory:_files -/' '1:command:->command' '*::argument:->argument'
    case $state in
        command)
            local -a commands
            commands=(
@COMMANDS@
            )
            _describe command commands
            ;;
        argument)
            case $words[1] in
@CASES@
            esac
            ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _bldr "$@"
else
    compdef _bldr bldr
fi
"""

_ZSH_VALUES = {"file": "_files", "directory": "_files -/", "target": "_bldr_targets", "other": ""}


def zsh(commands: list[CommandWords]) -> str:
    """For zsh 5, sourced or as a file `_bldr` in $fpath."""
    described = [f"                {shlex.quote(f'{command.name}:{command.summary}')}" for command in commands]
    cases = []
    for command in commands:
        specs = [shlex.quote(spec) for option in command.options for spec in _zsh_option(option)]
        value = f"({' '.join(command.choices)})" if command.choices else _ZSH_VALUES[command.positional]
        specs.append(shlex.quote(f"*:{command.positional}:{value}"))
        arguments = " \\\n                        ".join(specs)
        cases.append(
            f"                {command.name})\n                    _arguments {arguments}\n                    ;;"
        )
    return _ZSH.replace("@COMMANDS@", "\n".join(described)).replace("@CASES@", "\n".join(cases))


def _zsh_option(option: Option) -> list[str]:
    summary = option.summary.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    value = f"({' '.join(option.choices)})" if option.choices else _ZSH_VALUES.get(option.value, "")
    after = f":{option.value}:{value}" if option.value else ""
    return [f"{name}{'=' if after and name.startswith('--') else ''}[{summary}]{after}" for name in option.names]


def fish(commands: list[CommandWords]) -> str:
    """For fish 3."""
    lines = [
        "# fish completion of bldr; made by `bldr completion fish`",
        "function __bldr_targets",
        "    bldr query -q //... 2>/dev/null",
        "end",
        "complete -c bldr -f",
        "complete -c bldr -n __fish_use_subcommand -s C -r -a '(__fish_complete_directories)' -d 'stand in it'",
    ]
    for command in commands:
        lines.append(f"complete -c bldr -n __fish_use_subcommand -a {command.name} -d {_fish_text(command.summary)}")
    for command in commands:
        seen = f"complete -c bldr -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            lines.append(f"{seen} {_fish_option(option)}")
        if command.choices:
            lines.append(f"{seen} -a {_fish_text(' '.join(command.choices))}")
        elif command.positional == "target":
            lines.append(f"{seen} -a '(__bldr_targets)'")
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    words = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    if option.choices:
        words.append(f"-x -a {_fish_text(' '.join(option.choices))}")
    elif option.value == "directory":
        words.append("-x -a '(__fish_complete_directories)'")
    elif option.value == "file":
        words.append("-r -F")
    elif option.value:
        words.append("-x")
    return " ".join([*words, "-d", _fish_text(option.summary)])


def _fish_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
