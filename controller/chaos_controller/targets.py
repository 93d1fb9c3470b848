"""Which hosts an experiment hits, and why every other is spared. Pure: the fleet and the seed are passed in."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from chaos_controller import labels
from chaos_controller.objections import Objection, objection
from chaos_controller.states import Reason

_MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that could be chosen."""

    name: str
    id: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """Names AND labels AND NOT except; then, of those, a count or a share (parts per million) drawn with the seed."""

    hosts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    except_hosts: tuple[str, ...] = ()
    count: int | None = None
    percent_ppm: int | None = None
    seed: int | None = None

    @property
    def draws(self) -> bool:
        return self.count is not None or self.percent_ppm is not None


@dataclass(frozen=True, slots=True)
class Spared:
    """A host that is not hit, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is hit and who is not; with objections, nobody should be."""

    targets: tuple[Candidate, ...] = ()
    spared: tuple[Spared, ...] = ()
    seed: int | None = None
    objections: tuple[Objection, ...] = ()


Protects = Callable[[Candidate], str]
"""Why a host must never be hit, or nothing."""


def choose(selection: Selection, fleet: Sequence[Candidate], protects: Protects, new_seed: Callable[[], int]) -> Choice:
    """The targets in order of name. A choice rounds up; `new_seed` is asked only when there is a draw without one."""
    expressions, objections = _read_labels(selection)
    objections += tuple(_objections_to_names(selection, fleet, protects))
    spared: list[Spared] = []
    matching: list[Candidate] = []
    for host in sorted(fleet, key=lambda each: each.name):
        why = _why_spared(host, selection, expressions) or protects(host)
        if why:
            spared.append(Spared(host.name, why))
        else:
            matching.append(host)
    if not matching and not objections:
        objections = (_nothing_matches(selection, fleet, expressions, protects),)
    if objections:
        return Choice(spared=tuple(spared), objections=objections)
    return _draw(selection, matching, spared, new_seed)


def matching(selection: Selection, fleet: Sequence[Candidate]) -> tuple[tuple[Candidate, ...], tuple[Objection, ...]]:
    """Hosts that a selection names, without a draw and whatever the policy says; an empty selection names all."""
    expressions, objections = _read_labels(selection)
    return tuple(host for host in fleet if not _why_spared(host, selection, expressions)), objections


def still_matches(selection: Selection, host: Candidate, protects: Protects) -> str:
    """Why a host chosen earlier would not be chosen from now, or nothing; the draw is not repeated."""
    expressions, _ = _read_labels(selection)
    return _why_spared(host, selection, expressions) or protects(host)


def _read_labels(selection: Selection) -> tuple[tuple[labels.Expression, ...], tuple[Objection, ...]]:
    expressions, objections = [], []
    for index, text in enumerate(selection.labels):
        try:
            expressions.append(labels.parse(text))
        except ValueError as error:
            objections.append(objection(Reason.INPUT, f"selection.labels[{index}]", text, str(error)))
    return tuple(expressions), tuple(objections)


def _objections_to_names(selection: Selection, fleet: Sequence[Candidate], protects: Protects) -> Iterator[Objection]:
    if not selection.hosts and not selection.labels:
        yield objection(Reason.INPUT, "selection", "", "name hosts or labels; for the whole fleet write hosts '*'")
    by_name = {host.name: host for host in fleet}
    for index, pattern in enumerate(selection.hosts):
        place = f"selection.hosts[{index}]"
        if not any(fnmatchcase(name, pattern) for name in by_name):
            yield objection(Reason.INPUT, place, pattern, f"matches no host; {_known(by_name)}")
        elif pattern in by_name and (why := protects(by_name[pattern])):
            yield objection(Reason.LAW, place, pattern, f"{why}; choose another host or change the policy")
    for index, pattern in enumerate(selection.except_hosts):
        # A glob may match nobody today; a plain name that is nobody's is a slip that would hit the one to be spared.
        if pattern not in by_name and not _is_glob(pattern):
            remedy = f"is no host; {_known(by_name)}"
            yield objection(Reason.INPUT, f"selection.except_hosts[{index}]", pattern, remedy)


def _is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _known(names: Mapping[str, Candidate]) -> str:
    if not names:
        return "no host is enrolled yet"
    shown = sorted(names)[:8]
    return f"enrolled are {', '.join(shown)}{f' and {len(names) - 8} more' if len(names) > 8 else ''}"


def _why_spared(host: Candidate, selection: Selection, expressions: Sequence[labels.Expression]) -> str:
    if selection.hosts and not any(fnmatchcase(host.name, pattern) for pattern in selection.hosts):
        return f"its name does not match {', '.join(selection.hosts)}"
    for expression in expressions:
        if not expression.matches(host.labels):
            return f"its labels do not match {expression}"
    for pattern in selection.except_hosts:
        if fnmatchcase(host.name, pattern):
            return f"excepted by {pattern}"
    return ""


def _nothing_matches(
    selection: Selection, fleet: Sequence[Candidate], expressions: Sequence[labels.Expression], protects: Protects
) -> Objection:
    protected = [host.name for host in fleet if not _why_spared(host, selection, expressions) and protects(host)]
    if protected:
        remedy = "every host that matches is protected by the policy; choose others or change the policy"
        return objection(Reason.LAW, "selection", ", ".join(sorted(protected)), remedy)
    asked = [*selection.hosts, *selection.labels, *(f"except {name}" for name in selection.except_hosts)]
    return objection(Reason.INPUT, "selection", " and ".join(asked), "no host is left; see `chaosctl hosts`")


def _draw(selection: Selection, matching: list[Candidate], spared: list[Spared], new_seed: Callable[[], int]) -> Choice:
    if not selection.draws:
        return Choice(tuple(matching), tuple(spared))
    seed = new_seed() if selection.seed is None else selection.seed
    wanted = _how_many(selection, len(matching))
    if wanted > len(matching):
        remedy = f"only {len(matching)} match: {', '.join(host.name for host in matching)}"
        wrong = objection(Reason.INPUT, "selection.count", str(wanted), remedy)
        return Choice(spared=tuple(spared), seed=seed, objections=(wrong,))
    drawn = {host.name for host in sorted(matching, key=lambda host: _rank(seed, host.name))[:wanted]}
    spared += [Spared(host.name, f"not drawn (seed {seed})") for host in matching if host.name not in drawn]
    targets = tuple(host for host in matching if host.name in drawn)
    return Choice(targets, tuple(sorted(spared, key=lambda each: each.name)), seed)


def _how_many(selection: Selection, matching: int) -> int:
    if selection.count is not None:
        return selection.count
    return -(-matching * (selection.percent_ppm or 0) // _MILLION)


def _rank(seed: int, name: str) -> bytes:
    # A hash and not `random`: the same draw in every version of Python, whatever other hosts there are.
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
