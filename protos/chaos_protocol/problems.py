"""What is wrong with a request: every problem names its culprit, the value and the remedy."""

from collections.abc import Iterable
from dataclasses import dataclass

INPUT = 1
"""`chaos.v1.Refused.REFUSED_INPUT`, spelled out so that this module needs no protobuf."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong; `culprit` is the path of a key or the name of a flag, host or interface."""

    culprit: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.culprit}: {self.value}: {self.remedy}" if self.value else f"{self.culprit}: {self.remedy}"


class Refused(Exception):
    """A request was refused before anything was touched; carries every problem found.

    `reason` is a number of `chaos.v1.Refused`; callers choose their exit code by it.
    """

    def __init__(self, problems: Iterable[Problem], reason: int = INPUT) -> None:
        self.problems = tuple(problems)
        self.reason = reason
        super().__init__("; ".join(str(problem) for problem in self.problems))
