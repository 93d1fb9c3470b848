"""What is wrong with a request: every problem names its culprit, the value and the remedy."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong; `culprit` is the path of a key or the name of a flag, host or interface."""

    culprit: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.culprit}: {self.value}: {self.remedy}" if self.value else f"{self.culprit}: {self.remedy}"


class Refused(Exception):
    """Input was refused before anything was touched; carries every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))
