"""The written limits. By default: up to 10 hosts at once, up to an hour, every kind, no host protected.

    hosts_at_once: 10            # or unlimited
    percent_at_once:             # of enrolled hosts; offline ones count as spent; a cap rounds down
      fleet: 50%
      role=web: 34%              # of the hosts with this label
      zone: 50%                  # of each value of this label
    longest_duration: 1h
    kinds: [latency]
    protected:
      hosts: [db1, 'pay*']
      labels: [tier=gold]
    retire_offline_after: 7d     # out of every sum until heard again

The default has no percentage on purpose: one that suits a fleet of 40 rounds to nothing in a fleet of one.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from chaos_protocol import values, yamlfile
from chaos_protocol.problems import Problem, Refused

from chaos_controller import labels, units
from chaos_controller.objections import Objection, objection
from chaos_controller.states import Reason
from chaos_controller.targets import Candidate
from chaos_controller.timing import SECOND, lasting

FLEET = "fleet"


@dataclass(frozen=True, slots=True)
class Policy:
    """What no experiment may exceed. `None` is no limit."""

    hosts_at_once: int | None = 10
    percent_at_once: Mapping[str, int] = field(default_factory=dict)
    longest_duration_ns: int = 3600 * SECOND
    kinds: frozenset[str] | None = None
    protected_hosts: tuple[str, ...] = ()
    protected_labels: tuple[str, ...] = ()
    retire_offline_after_ns: int | None = None

    def protects(self, host: Candidate) -> str:
        """Why the host must never be hit, or nothing."""
        for pattern in self.protected_hosts:
            if fnmatchcase(host.name, pattern):
                return f"protected by the policy (hosts: {pattern})"
        for text in self.protected_labels:
            if labels.parse(text).matches(host.labels):
                return f"protected by the policy (labels: {text})"
        return ""

    def objections(self, kinds: Collection[str], duration_ns: int) -> tuple[Objection, ...]:
        """What speaks against these kinds for so long, whoever is hit."""
        found = []
        if duration_ns > self.longest_duration_ns:
            remedy = f"the policy allows at most {lasting(self.longest_duration_ns)}"
            found.append(objection(Reason.LAW, "duration", lasting(duration_ns), remedy))
        for kind in sorted(set(kinds)):
            if self.kinds is not None and kind not in self.kinds:
                allowed = ", ".join(sorted(self.kinds)) or "none"
                found.append(objection(Reason.LAW, "faults", kind, f"the policy allows only: {allowed}"))
        return tuple(found)


def load(path: Path | None, known_kinds: Collection[str]) -> Policy:
    """The policy in a file, or the default without one; raises `Refused` with every problem."""
    if path is None:
        return Policy()
    document = yamlfile.read(path)
    return read({} if document is None else document, known_kinds)


def read(document: object, known_kinds: Collection[str]) -> Policy:
    """The policy that a document describes; raises `Refused` with every problem in it."""
    reader = _Reader(known_kinds)
    settings = reader.settings(document)
    if reader.problems:
        raise Refused(reader.problems)
    return Policy(**settings)


class _Reader:
    """Walks a policy document and gathers what is wrong with it."""

    def __init__(self, known_kinds: Collection[str]) -> None:
        self.known_kinds = known_kinds
        self.problems: list[Problem] = []

    def settings(self, document: object) -> dict[str, Any]:
        """Arguments of `Policy` for the keys that are there."""
        keys: dict[str, Callable[[object, str], dict[str, Any]]] = {
            "hosts_at_once": lambda value, place: {place: self._count(value, place)},
            "percent_at_once": lambda value, place: {place: self._percents(value, place)},
            "longest_duration": lambda value, place: {f"{place}_ns": self._duration(value, place)},
            "kinds": lambda value, place: {place: self._kinds(value, place)},
            "protected": self._protected,
            "retire_offline_after": lambda value, place: {f"{place}_ns": self._duration(value, place)},
        }
        found: dict[str, Any] = {}
        for key, value in self._mapping(document, "policy").items():
            if key in keys:
                found |= keys[key](value, key)
            else:
                self._wrong(key, "", f"is not known here; known are {', '.join(keys)}")
        return found

    def _wrong(self, place: str, value: object, remedy: str) -> None:
        self.problems.append(Problem(place, str(value), remedy))

    def _mapping(self, value: object, place: str) -> dict[str, object]:
        if isinstance(value, Mapping):
            return {str(key): item for key, item in value.items()}
        self._wrong(place, value, "must be keys with values")
        return {}

    def _texts(self, value: object, place: str) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self._wrong(place, value, "must be a list of texts")
        return ()

    def _count(self, value: object, place: str) -> int | None:
        if value == "unlimited":
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        self._wrong(place, value, "must be a whole number, 1 or more, or unlimited; 0 would let nothing run")
        return 1

    def _duration(self, value: object, place: str) -> int:
        number = self._value(units.DURATION, value, place)
        if number is not None and number < SECOND:
            self._wrong(place, value, "must be at least 1s")
        return number or SECOND

    def _value(self, unit: int, value: object, place: str) -> int | None:
        try:
            return values.parse(unit, value if isinstance(value, str) else str(value))
        except ValueError as error:
            self._wrong(place, value, str(error))
            return None

    def _percents(self, value: object, place: str) -> dict[str, int]:
        found = {}
        for group, item in self._mapping(value, place).items():
            here = f"{place}.{group}"
            share = self._value(units.SHARE, item, here)
            if share is not None and not 0 < share <= 10**6:
                self._wrong(here, item, "must be more than 0% and at most 100%")
            if group != FLEET:
                self._expression(group, here)
            found[group] = share or 0
        return found

    def _expression(self, text: str, place: str) -> None:
        try:
            if not labels.parse(text).wanted:
                self._wrong(place, text, "a group is written role=web, or role for each of its values")
        except ValueError as error:
            self._wrong(place, text, str(error))

    def _kinds(self, value: object, place: str) -> frozenset[str]:
        kinds = self._texts(value, place)
        for kind in kinds:
            if kind not in self.known_kinds:
                self._wrong(place, kind, f"is no kind of fault; known are {', '.join(sorted(self.known_kinds))}")
        return frozenset(kinds)

    def _protected(self, value: object, place: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in self._mapping(value, place).items():
            here = f"{place}.{key}"
            if key not in ("hosts", "labels"):
                self._wrong(here, "", "is not known here; known are hosts, labels")
                continue
            found[f"protected_{key}"] = texts = self._texts(item, here)
            for text in texts if key == "labels" else ():
                try:
                    labels.parse(text)
                except ValueError as error:
                    self._wrong(here, text, str(error))
        return found
