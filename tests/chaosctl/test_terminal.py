"""Names from elsewhere don't speak to the terminal, and a reader that is gone stops nothing."""

import os
import sys

import pytest
from chaosctl.terminal import Terminal, safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("web1", "web1", id="plain"),
        pytest.param("büro-1 ✓", "büro-1 ✓", id="any-language"),
        pytest.param("a\x1b[2Jb", "a\\x1b[2Jb", id="escape"),
        pytest.param("a\x9b2Jb", "a\\x9b2Jb", id="eight-bit-escape"),
        pytest.param("a\nclean\r", "a\\nclean\\r", id="line-breaks"),
        pytest.param("a\u202egnp", "a\\u202egnp", id="right-to-left-override"),
        pytest.param("a\u200bb", "a\\u200bb", id="invisible"),
        pytest.param("a\u00a0b", "a b", id="odd-space"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    """What could move the cursor, hide or turn text is written out."""
    assert safe(text) == shown


def test_data_and_notes_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    """Data is on stdout, what is said on the way on stderr."""
    terminal = Terminal({})

    terminal.data("data")
    terminal.note("note")

    assert capsys.readouterr() == ("data\n", "note\n")


@pytest.mark.parametrize("environment", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}, {"TERM": "xterm"}])
def test_no_colour_without_a_terminal(environment: dict[str, str]) -> None:
    """Whatever the environment says, pipes get plain text."""
    terminal = Terminal(environment)

    assert not terminal.color_on_data
    assert not terminal.color_on_notes


def test_a_reader_that_left_is_no_error(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`chaosctl list | head -1` goes on quietly; what is printed later goes nowhere."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        terminal = Terminal({})

        terminal.data("one")
        terminal.data("two")

    assert capfd.readouterr().err == ""
