"""How a command ends early."""

from chaos_protocol.problems import Problem
from chaosctl.exits import Exit
from chaosctl.stop import Stop, Unreachable, refuse


def test_a_refusal_names_culprit_value_and_remedy() -> None:
    """And is a refused request unless said otherwise."""
    stop = refuse("--delay", "100", "has no unit")

    assert (stop.code, str(stop)) == (Exit.INPUT, "--delay: 100: has no unit")


def test_blame_goes_to_what_was_typed() -> None:
    """A key of the API becomes the word of the command line; other culprits stay."""
    stop = Stop(Exit.INPUT, [Problem("valid", "1", "has no unit"), Problem("web1", "", "is protected")])

    stop.blame({"valid": "--valid"})

    assert [problem.culprit for problem in stop.problems] == ["--valid", "web1"]


def test_unreachable_has_its_own_status() -> None:
    """Whatever was asked."""
    assert Unreachable([], "does not answer").code == Exit.UNREACHABLE
