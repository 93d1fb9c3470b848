"""Why a command ends early. `Stop` carries the exit status and every problem; only what a caller treats differently
has a class of its own:

    Stop ── Unreachable   the controller did not answer; whoever follows an experiment dials again
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from chaos_protocol.problems import Problem

from chaosctl.exits import Exit


class Stop(Exception):
    """The command can't go on: each problem has its culprit, the value and the remedy."""

    def __init__(self, code: Exit, problems: Iterable[Problem], lead: str = "") -> None:
        self.code = code
        self.problems = tuple(problems)
        self.lead = lead
        super().__init__("; ".join(str(problem) for problem in self.problems) or lead)

    def blame(self, culprits: Mapping[str, str]) -> None:
        """Call culprits by the words that were typed."""
        named = (replace(problem, culprit=culprits.get(problem.culprit, problem.culprit)) for problem in self.problems)
        self.problems = tuple(named)


class Unreachable(Stop):
    """The controller did not answer."""

    def __init__(self, problems: Iterable[Problem], why: str) -> None:
        self.why = why
        super().__init__(Exit.UNREACHABLE, problems, "the controller can't be reached")


def refuse(culprit: str, value: str, remedy: str, code: Exit = Exit.INPUT) -> Stop:
    """A refusal with one problem."""
    return Stop(code, [Problem(culprit, value, remedy)])
