"""Why a plan would be refused: problems with the reason of each, gathered before anything is raised."""

from collections.abc import Iterable
from dataclasses import dataclass

from chaos_protocol.problems import Problem, Refused

from chaos_controller.states import Reason


@dataclass(frozen=True, slots=True)
class Objection:
    """One problem and why it counts."""

    reason: Reason
    problem: Problem


def objection(reason: Reason, culprit: str, value: str, remedy: str) -> Objection:
    """Short for the two of them."""
    return Objection(reason, Problem(culprit, value, remedy))


def refused(objections: Iterable[Objection]) -> Refused:
    """All of them as one refusal; wrong input outranks law, law outranks budget, and so on down the enum."""
    everything = tuple(objections)
    return Refused((each.problem for each in everything), min(each.reason for each in everything))
