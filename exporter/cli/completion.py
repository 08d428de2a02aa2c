"""`device-exporter completion bash|zsh|fish`: what the shell offers at the Tab key, made from the commands."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS: Final = ("bash", "zsh", "fish")
_HOW: Final = {
    "bash": "# device-exporter completion bash > /etc/bash_completion.d/device-exporter",
    "zsh": "#compdef device-exporter\n# device-exporter completion zsh > ~/.zfunc/_device-exporter (fpath+=~/.zfunc)",
    "fish": "# device-exporter completion fish > ~/.config/fish/completions/device-exporter.fish",
}


class Place(NamedTuple):
    """Where a command line may be: behind `path`, such as `incidents list`, `words` may follow."""

    path: str
    words: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    """What may follow a flag; nothing for one that takes any value."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from exporter.cli.main import program  # noqa: PLC0415 - that one asks for this module

    places = list(_places(program(None), ""))
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell]
    say(_HOW[args.shell])
    for line in script(places):
        say(line)
    return 0


def _places(parser: argparse.ArgumentParser, path: str) -> Iterator[Place]:
    words: list[str] = []
    choices: dict[str, tuple[str, ...]] = {}
    inner: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of what it takes
        if action.help == argparse.SUPPRESS:
            continue
        words += [flag for flag in action.option_strings if flag.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - nor another name for that
            inner = dict(action.choices)
        elif action.option_strings and action.nargs != 0:
            choices |= dict.fromkeys(action.option_strings, tuple(map(str, action.choices or ())))
        elif not action.option_strings:
            words += map(str, action.choices or ())
    yield Place(path, (*inner, *words), choices)
    for name, one in inner.items():
        yield from _places(one, f"{path} {name}".strip())


def _shell_body(places: list[Place]) -> Iterator[str]:
    """Yield what bash and zsh have in common: from `place` and `before`, the word in front, to `offered`."""
    yield '  case "$place $before" in'
    for place in places:
        for flag, choices in place.choices.items():
            yield f'    "{place.path} {flag}") offered="{" ".join(choices)}"; files=1;;'
    yield '    *) case "$place" in'
    for place in places:
        yield f'      "{place.path}") offered="{" ".join(place.words)}";;'
    yield "    esac;;"
    yield "  esac"


def _paths(places: list[Place]) -> str:
    return "|".join(f'"{place.path}"' for place in places if place.path)


def _bash(places: list[Place]) -> Iterator[str]:
    yield "_device_exporter() {"
    yield '  local place="" before="${COMP_WORDS[COMP_CWORD-1]}" offered="" files="" word'
    yield '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield f'    case "${{place:+$place }}$word" in {_paths(places)}) place="${{place:+$place }}$word";; esac'
    yield "  done"
    yield from _shell_body(places)
    yield '  COMPREPLY=($(compgen -W "$offered" -- "${COMP_WORDS[COMP_CWORD]}"))'
    yield '  [ -z "$files" ] || [ -n "$offered" ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))'
    yield "}"
    yield "complete -o default -F _device_exporter device-exporter"


def _zsh(places: list[Place]) -> Iterator[str]:
    yield "_device_exporter() {"
    yield '  local place="" before="${words[CURRENT-1]}" offered="" files="" word'
    yield '  for word in "${(@)words[2,CURRENT-1]}"; do'
    yield f'    case "${{place:+$place }}$word" in ({_paths(places)}) place="${{place:+$place }}$word";; esac'
    yield "  done"
    yield from _shell_body(places)
    yield '  if [[ -n "$offered" ]]; then compadd -- ${=offered}; else _files; fi'
    yield "}"
    yield 'if [[ "$funcstack[1]" = _device-exporter ]]; then _device_exporter "$@"'
    yield "else compdef _device_exporter device-exporter; fi"


def _fish(places: list[Place]) -> Iterator[str]:
    for place in places:
        names = place.path.split()
        deeper = {one.path.split()[-1] for one in places if len(one.path.split()) == len(names) + 1}
        inside = [f"__fish_seen_subcommand_from {name}" for name in names]
        nothing_yet = [f"not __fish_seen_subcommand_from {' '.join(sorted(deeper))}"] if not names else []
        condition = "; and ".join([*inside, *nothing_yet]) or "true"
        plain = [word for word in place.words if not word.startswith("--")]
        if plain:
            yield f"complete -c device-exporter -n '{condition}' -f -a '{' '.join(plain)}'"
        for word in place.words:
            if word.startswith("--"):
                takes = f" -r -a '{' '.join(place.choices[word])}'" if word in place.choices else ""
                yield f"complete -c device-exporter -n '{condition}' -l {word[2:]}{takes}"
