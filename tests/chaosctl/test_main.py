"""Every way in which a command ends has its status and its words."""

from pathlib import Path

import pytest
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run, Start
from tests.fakes.fake_controller import FakeController


def _words(line: str) -> list[str]:
    return line.split()


def test_all_problems_at_once_and_nobody_is_asked(controller: FakeController, home: Path, run: Run) -> None:
    """Units, signs, limits, ports, unknown and missing flags: one answer, before any contact."""
    result = run(
        home,
        *["inject", "latency", "--delay", "2h", "--jitter", "-5ms", "--to-port", "70000", "--length", "3", "--hosts"],
    )

    assert (result.code, result.out) == (Exit.INPUT, "")
    assert [line.split()[0] for line in result.err.splitlines()[1:]] == [
        "--length",
        "--hosts",
        "--jitter",
        "--to-port",
        "--delay",
    ]
    assert controller.calls == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param("--delay 100", "--delay 100  has no unit; write 100ms", id="unit-missing"),
        pytest.param("--delay -5ms", "--delay -5ms  must not be negative", id="negative"),
        pytest.param("--delay 2h", "--delay 2h  must be at most 60s", id="too-much"),
        pytest.param("--delay 1s --to-port 70000", "--to-port 70000  ports go from 1 to 65535", id="no-such-port"),
        pytest.param("--latency 1s", "--latency 1s  is not known; did you mean --delay?", id="another-tools-word"),
        pytest.param("--delay 1s --length 2m", "--length 2m  is not known; did you mean --duration?", id="length"),
        pytest.param("", "--delay  is required, as 100ms", id="missing"),
        pytest.param("--delay 1s web2", "web2  belongs to no flag", id="a-stray-word"),
        pytest.param("--delay 1s --file x", "--file x  takes the place of a fault", id="file-and-fault"),
    ],
)
def test_bad_flags(nowhere: Path, run: Run, words: str, says: str) -> None:
    """Each with the flag, the value and what to write instead."""
    result = run(nowhere, "inject", "latency", "--hosts", "web*", *words.split())

    assert result.code == Exit.INPUT
    assert says in " ".join(result.err.split("\n")).replace("   ", "  ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param("stop", "did you mean `chaosctl abort`?", id="stop"),
        pytest.param("fence remove", "did you mean `chaosctl fence lift`?", id="in-a-group"),
        pytest.param("inject latenzy", "did you mean latency?", id="fault"),
        pytest.param("inject --delay 1s latency", "belongs behind the fault: latency --delay", id="flag-too-early"),
        pytest.param("list -o xml", "'xml' is not one of 'table', 'json', 'yaml'", id="format"),
        pytest.param("-o xml list", "'xml' is not one of 'table', 'json', 'yaml'", id="format-of-the-group"),
        pytest.param("--frob", "--frob  is not known", id="flag-of-the-group"),
        pytest.param("show", "ID  is required", id="argument"),
        pytest.param("inject", "say what to inject: one of latency", id="nothing-to-inject"),
        pytest.param("status", "no controller is set; log in with", id="nobody-logged-in"),
    ],
)
def test_bad_words(nowhere: Path, run: Run, words: str, says: str) -> None:
    """With what was meant, and status 2."""
    result = run(nowhere, *words.split())

    assert (result.code, result.out) == (Exit.INPUT, "")
    assert says in result.err


def test_no_words_are_help(nowhere: Path, run: Run) -> None:
    """On stdout, for it is what was asked for."""
    result = run(nowhere)

    assert result.code == Exit.DONE
    assert result.out.startswith("Usage: chaosctl")


def test_unreachable(controller: FakeController, home: Path, run: Run) -> None:
    """Status 7, with the address."""
    controller.stop()
    result = run(home, "status")
    controller.start_again()

    assert result.code == Exit.UNREACHABLE
    assert controller.address in result.err


def test_names_of_a_refusal_are_neutralised(nowhere: Path, run: Run) -> None:
    """Also our own words back at us."""
    assert "\x1b" not in run(nowhere, "\x1b[2J").err


def test_a_closed_pipe_is_quiet(nowhere: Path, start: Start) -> None:
    """`chaosctl faults | head -1` leaves no trace on stderr."""
    process = start(nowhere, "faults", "latency")
    process.close_stdout()

    result = process.wait_ended()

    assert (result.code, result.err) == (Exit.DONE, "")
