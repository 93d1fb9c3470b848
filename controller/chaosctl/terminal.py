"""The two streams of a process: stdout carries data and nothing else, stderr all that is said on the way."""

import os
import sys
import unicodedata
from collections.abc import Mapping
from typing import TextIO


class Terminal:
    """Writes that never break what is being done: a reader that went away is not an error of ours."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._plain = bool(environment.get("NO_COLOR")) or environment.get("TERM", "dumb") == "dumb"
        self._lost: set[int] = set()

    @property
    def color_on_data(self) -> bool:
        """Whether data may be coloured and fitted to a width."""
        return self.shows_data and not self._plain

    @property
    def color_on_notes(self) -> bool:
        """Whether notes may be coloured."""
        return sys.stderr.isatty() and not self._plain

    @property
    def shows_data(self) -> bool:
        """Whether a person reads stdout."""
        return sys.stdout.isatty()

    @property
    def is_live(self) -> bool:
        """Whether a table on stderr can be redrawn in place."""
        return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def data(self, text: str) -> None:
        """Print data."""
        self._write(sys.stdout, text)

    def note(self, text: str = "") -> None:
        """Say something on the way."""
        self._write(sys.stderr, text)

    def _write(self, stream: TextIO, text: str) -> None:
        """A pipe whose reader has gone (`| head`) or a closed terminal: go on silently, the exit status still tells."""
        number = 1 if stream is sys.stdout else 2
        if number in self._lost:
            return
        try:
            stream.write(text + "\n")
            stream.flush()
        except OSError:
            self._lost.add(number)
            _forget(stream)


def _forget(stream: TextIO) -> None:
    """What is still buffered goes nowhere, also when the interpreter flushes at its end."""
    try:
        void = os.open(os.devnull, os.O_WRONLY)
        os.dup2(void, stream.fileno())
        os.close(void)
    except (OSError, ValueError):
        return


def safe(text: object) -> str:
    """Text from elsewhere on one line: control and direction characters are shown, never obeyed."""
    return "".join(_shown(character) for character in str(text))


def _shown(character: str) -> str:
    if character.isprintable() or character == " ":
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode()
