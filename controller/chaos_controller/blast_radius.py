"""How many hosts may be under fault at once, over all experiments. Pure; evaluated inside the admitting transaction.

A host is spent while an injection on it is not proved clean; for a percentage, offline hosts of the group are spent
too. It counts once, however many injections it has. A cap rounds down.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chaos_protocol import values

from chaos_controller import labels, units
from chaos_controller.objections import Objection, objection
from chaos_controller.policy import FLEET, Policy
from chaos_controller.states import Reason
from chaos_controller.timing import shown

_MILLION = 10**6
_WAYS_OUT = "wait for them, abort them, or take them on yourself: `chaosctl hosts accept|retire NAME --reason …`"


@dataclass(frozen=True, slots=True)
class Member:
    """An enrolled host that is not retired. `unproved` says what is not proved clean on it, or nothing."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    offline_since: int | None = None
    unproved: str = ""

    def why_spent(self, offline_counts: bool) -> str:
        """Why the host uses up budget, or nothing."""
        if self.unproved:
            return f"{self.name} {self.unproved}"
        if offline_counts and self.offline_since is not None:
            return f"{self.name} offline since {shown(self.offline_since)}"
        return ""


@dataclass(frozen=True, slots=True)
class Sum:
    """One cap, what is spent of it and what is wanted on top."""

    cap: str
    limit: int
    spent: Mapping[str, str]
    wanted: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.more or len(self.spent) + len(self.more) <= self.limit

    @property
    def more(self) -> tuple[str, ...]:
        """Wanted hosts that are not spent already."""
        return tuple(name for name in self.wanted if name not in self.spent)

    def __str__(self) -> str:
        why = f": {', '.join(self.spent.values())}" if self.spent else ""
        more = f"; asked for {len(self.more)} more" if self.more else ""
        return f"cap {self.cap} = {self.limit}; spent {len(self.spent)}{why}{more}"


def with_presence(
    members: Sequence[Member], offline: Mapping[str, int], retire_after_ns: int | None, now: int
) -> list[Member]:
    """The members with who is offline since when; those gone for longer than the policy waits are left out.

    A host of which something is not proved clean is never left out.
    """
    present = []
    for member in members:
        since = offline.get(member.name)
        retired = since is not None and retire_after_ns is not None and now - since >= retire_after_ns
        if not retired or member.unproved:
            present.append(replace(member, offline_since=since))
    return present


def sums(policy: Policy, members: Sequence[Member], wanted: Collection[str] = ()) -> tuple[Sum, ...]:
    """Every cap of the policy that holds for this fleet."""
    return tuple(_sums(policy, members, wanted))


def _sums(policy: Policy, members: Sequence[Member], wanted: Collection[str]) -> Iterator[Sum]:
    if policy.hosts_at_once is not None:
        yield _sum(f"{policy.hosts_at_once} hosts", policy.hosts_at_once, members, wanted, offline_counts=False)
    for group, share_ppm in policy.percent_at_once.items():
        for name, part in _groups(group, members):
            share = values.show(units.SHARE, share_ppm)
            cap = f"{share} of {len(part)} {name}"
            yield _sum(cap, len(part) * share_ppm // _MILLION, part, wanted, offline_counts=True)


def _sum(cap: str, limit: int, members: Sequence[Member], wanted: Collection[str], offline_counts: bool) -> Sum:
    why = {member.name: member.why_spent(offline_counts) for member in members}
    spent = {name: text for name, text in why.items() if text}
    return Sum(cap, limit, spent, tuple(sorted(name for name in why if name in wanted)))


def _groups(group: str, members: Sequence[Member]) -> Iterator[tuple[str, Sequence[Member]]]:
    if group == FLEET:
        yield "in the fleet", members
        return
    expression = labels.parse(group)
    worth = {member.labels[expression.key] for member in members if expression.key in member.labels}
    for value in sorted(worth) if expression.value is None else [expression.value]:
        part = [member for member in members if member.labels.get(expression.key) == value]
        yield f"with {expression.key}={value}", part


def objections(policy: Policy, members: Sequence[Member], wanted: Collection[str]) -> tuple[Objection, ...]:
    """Why these hosts can't be hit now: each cap that would be passed, with its sum."""
    found = []
    for each in sums(policy, members, wanted):
        if each.more and each.limit == 0:
            remedy = "lets nothing run there; raise the percentage"
            found.append(objection(Reason.LAW, "policy", f"cap {each.cap} = 0", remedy))
        elif not each.fits:
            remedy = _WAYS_OUT if each.spent else "choose fewer hosts: `--count`, or change the policy"
            found.append(objection(Reason.BUDGET, "budget", str(each), remedy))
    return tuple(found)


def empty_caps(policy: Policy, members: Sequence[Member]) -> tuple[str, ...]:
    """Caps that round down to 0 in this fleet, so that nothing they cover can ever run."""
    return tuple(
        f"policy: cap {each.cap} = 0 lets nothing run there; raise the percentage"
        for each in sums(policy, members)
        if each.limit == 0 and members
    )


def sentence(policy: Policy, members: Sequence[Member], wanted: Collection[str] = ()) -> str:
    """All sums in one line."""
    return "; ".join(map(str, sums(policy, members, wanted))) or "no cap on hosts at once"
