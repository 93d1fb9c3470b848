"""Label expressions: `role=web`, `role!=db`, `zone` (has it), `!zone` (has it not)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaos_protocol.problems import Problem

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_EXPRESSION = re.compile(rf"(?P<no>!?)(?P<key>{_KEY})(?:(?P<sign>!?=)(?P<value>{_VALUE}))?")


@dataclass(frozen=True, slots=True)
class Expression:
    """One condition on labels. `value` None asks only whether the key is there."""

    key: str
    value: str | None
    wanted: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a host with these labels meets the condition."""
        if self.value is None:
            return (self.key in labels) == self.wanted
        return (labels.get(self.key) == self.value) == self.wanted

    def __str__(self) -> str:
        if self.value is None:
            return self.key if self.wanted else f"!{self.key}"
        return f"{self.key}{'=' if self.wanted else '!='}{self.value}"


def parse(text: str) -> Expression:
    """The expression behind the text; `ValueError` says how to write one."""
    found = _EXPRESSION.fullmatch(text.strip())
    if found is None or (found["no"] and found["sign"]):
        raise ValueError("is no label expression; write role=web, role!=db, zone or !zone, several as several")
    return Expression(found["key"], found["value"], not found["no"] and found["sign"] != "!=")


def problems_of(labels: Mapping[str, str]) -> Iterable[Problem]:
    """What is wrong with labels to be given to a host."""
    for key, value in labels.items():
        if not re.fullmatch(_KEY, key):
            yield Problem("labels", ascii(key), "keys are 1 to 63 of A-Z, a-z, 0-9, '.', '_', '/' and '-'")
        if not re.fullmatch(_VALUE, value):
            yield Problem(f"labels.{key}", ascii(value), "values are 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-'")
