"""Reads a command's words before click does, so that every problem is found and none hides the next.

click stops at the first word it does not know and takes `--delay -5ms` apart in its own way; here each flag is joined
to its value (`--delay=-5ms`), and what can't be understood is taken out and reported.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import click
from chaos_protocol.problems import Problem

from chaosctl import suggest

_YES_NO = {"yes", "no", "true", "false"}


@dataclass
class Scan:
    """`words` are for click; `problems` are about the rest."""

    words: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Flag(click.Option):
    """An option that knows what people call it elsewhere, and under which heading help lists it."""

    def __init__(
        self,
        declarations: Sequence[str],
        *,
        heading: str = "",
        aliases: Iterable[str] = (),
        example: str = "",
        yes_no: bool = False,
        **attributes: object,
    ) -> None:
        super().__init__(declarations, **attributes)  # type: ignore[arg-type]
        self.heading = heading
        self.aliases = tuple(aliases)
        self.example = example
        self.yes_no = yes_no


def scan(
    words: Sequence[str], parameters: Iterable[click.Parameter], strangers: Mapping[str, str] | None = None
) -> Scan:
    """Sort the words of a command out. `strangers` says of flags that belong elsewhere where that is."""
    return _Scanner(list(parameters), strangers or {}).run(words)


class _Scanner:
    def __init__(self, parameters: list[click.Parameter], strangers: Mapping[str, str]) -> None:
        options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
        self._options = {name: option for option in options for name in (*option.opts, *option.secondary_opts)}
        self._takes_words = any(isinstance(parameter, click.Argument) for parameter in parameters)
        self._strangers = strangers
        self._found = Scan()

    def run(self, words: Sequence[str]) -> Scan:
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self._found.words += [word, *rest]
                break
            if len(word) > 1 and word.startswith("-"):
                self._flag(word, rest)
            else:
                self._found.words.append(word)
        return self._found

    def _flag(self, word: str, rest: list[str]) -> None:
        name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
        option = self._options.get(name)
        if option is None:
            self._unknown(word, name, value, rest)
        elif isinstance(option, Flag) and option.yes_no and not equals:
            said = rest.pop(0) if rest and rest[0].lower() in _YES_NO else "yes"
            self._found.words.append(f"{name}={said}")
        elif option.is_flag or option.count:
            self._found.words.append(word)
        elif equals or (rest and rest[0].partition("=")[0] not in self._options):
            self._found.words += _joined(name, value if equals else rest.pop(0))
        else:
            example = getattr(option, "example", "") or option.make_metavar(click.Context(click.Command("")))
            self._found.problems.append(Problem(name, "", f"needs a value, as {name} {example}"))

    def _unknown(self, word: str, name: str, value: str, rest: list[str]) -> None:
        """The next word is its value, unless the command takes words of its own."""
        if not word.startswith("--"):
            name, value = word, ""
        elif not value and rest and not rest[0].startswith("-") and not self._takes_words:
            value = rest.pop(0)
        self._found.problems.append(Problem(name, value, self._remedy(name)))

    def _remedy(self, name: str) -> str:
        known = {flag: getattr(option, "aliases", ()) for flag, option in self._options.items() if flag[:2] == "--"}
        if meant := suggest.flags_for(name, known):
            return f"is not known; did you mean {' or '.join(meant)}?"
        return self._strangers.get(name, "is not known; --help lists the flags")


def _joined(name: str, value: str) -> Iterator[str]:
    if name.startswith("--"):
        yield f"{name}={value}"
    else:
        yield from (name, value)
