"""Every word of a command line is sorted out before click sees it."""

import click
import pytest
from chaosctl.scan import Flag, scan

FLAGS = [
    Flag(["--delay"], example="100ms", aliases=["latency"], multiple=True),
    Flag(["--fragments"], yes_no=True, multiple=True),
    Flag(["--detach"], is_flag=True),
    Flag(["-o", "--output"], example="json"),
]
ARGUMENT = click.Argument(["identifier"])


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        pytest.param(["--delay", "100ms"], ["--delay=100ms"], id="a-flag-and-its-value"),
        pytest.param(["--delay=100ms"], ["--delay=100ms"], id="in-one-word"),
        pytest.param(["--delay", "-5ms"], ["--delay=-5ms"], id="a-value-with-a-dash-is-a-value"),
        pytest.param(["--delay", "--5ms"], ["--delay=--5ms"], id="also-with-two"),
        pytest.param(["--delay="], ["--delay="], id="an-empty-value"),
        pytest.param(["--fragments"], ["--fragments=yes"], id="yes-when-nothing-is-said"),
        pytest.param(["--fragments", "no"], ["--fragments=no"], id="no"),
        pytest.param(["--fragments", "--detach"], ["--fragments=yes", "--detach"], id="yes-and-another-flag"),
        pytest.param(["-o", "json"], ["-o", "json"], id="short"),
        pytest.param(["-ojson"], ["-o", "json"], id="short-in-one-word"),
        pytest.param(["--", "--delay"], ["--", "--delay"], id="nothing-is-a-flag-behind-two-dashes"),
        pytest.param(["-"], ["-"], id="a-dash-alone-is-standard-input"),
    ],
)
def test_understood(words: list[str], kept: list[str]) -> None:
    """What is understood goes on to click, each flag joined to its value."""
    found = scan(words, FLAGS)

    assert (found.words, found.problems) == (kept, [])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(["--latency", "3"], "--latency: 3: is not known; did you mean --delay?", id="alias"),
        pytest.param(["--latency=3"], "--latency: 3: is not known; did you mean --delay?", id="alias-in-one-word"),
        pytest.param(["--zzz"], "--zzz: is not known; --help lists the flags", id="unknown"),
        pytest.param(["-5ms"], "-5ms: is not known; --help lists the flags", id="unknown-short"),
        pytest.param(["--delay"], "--delay: needs a value, as --delay 100ms", id="value-missing-at-the-end"),
        pytest.param(["--plan", "x"], "--plan: x: takes the place of a fault", id="belongs-elsewhere"),
    ],
)
def test_not_understood(words: list[str], problem: str) -> None:
    """What is not understood is named with its value and what to write instead."""
    found = scan(words, FLAGS, {"--plan": "takes the place of a fault"})

    assert (found.words, list(map(str, found.problems))) == ([], [problem])


def test_all_problems_at_once() -> None:
    """One problem never hides the next, nor the good words between."""
    found = scan(["--latency", "3", "--detach", "--zzz", "--delay", "--output", "json"], FLAGS)

    assert [problem.culprit for problem in found.problems] == ["--latency", "--zzz", "--delay"]
    assert found.words == ["--detach", "--output=json"]


def test_an_unknown_flag_takes_no_argument_away() -> None:
    """In a command that takes words of its own, the word behind an unknown flag is one of those."""
    found = scan(["--zzz", "3f9a"], [*FLAGS, ARGUMENT])

    assert found.words == ["3f9a"]
