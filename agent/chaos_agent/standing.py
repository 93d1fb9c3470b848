"""What decides whether anything may start here: pure rules over a frozen value (protocol.md, rules 1, 7 and 9).

`generation` grows at every daemon start, abort, opt-out and reload of the host's law, so that an order made before is
told from one made after. Ids of aborts raised and lifted are sets, merged by union: order and repetition don't matter.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

OLDEST_TICK_NS = 5 * 10**9
"""A guard's tick may be so old: a call frozen on its way for longer starts nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Order:
    """One abort, by the id its giver made up."""

    id: str
    reason: str = ""
    by: str = ""
    host_only: bool = False


@dataclass(frozen=True, slots=True)
class Guard:
    """What a start must prove: that it was decided on what holds now. All of it was issued by this agent."""

    fleet: str
    term: int
    generation: int
    tick: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Durable on the host."""

    generation: int = 0
    term: int = 0
    retired_terms: frozenset[int] = frozenset()
    orders: frozenset[Order] = frozenset()
    lifted: frozenset[str] = frozenset()
    revoked: frozenset[str] = field(default=frozenset())

    @property
    def up(self) -> tuple[Order, ...]:
        """Aborts that hold."""
        return tuple(sorted(order for order in self.orders if order.id not in self.lifted))

    def started(self) -> Self:
        """A daemon began with this standing."""
        return replace(self, generation=self.generation + 1)

    def aborted(self, orders: Iterable[Order]) -> Self:
        """Aborts were heard of; those known or lifted already change nothing."""
        known = {order.id for order in self.orders} | self.lifted
        new = {order.id: order for order in orders if order.id not in known}
        if not new:
            return self
        return replace(self, generation=self.generation + 1, orders=self.orders | set(new.values()))

    def lift(self, ids: Iterable[str]) -> Self:
        """Aborts were lifted, also such as were not heard of yet."""
        return replace(self, lifted=self.lifted | set(ids))

    def heard(self, term: int, retired_terms: Iterable[int]) -> Self:
        """A controller said hello; older terms are over with that."""
        return replace(self, term=max(term, self.term), retired_terms=self.retired_terms | set(retired_terms))

    def revoke(self, fingerprints: Iterable[str]) -> Self:
        return replace(self, revoked=self.revoked | set(fingerprints))

    def as_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "term": self.term,
            "retired_terms": sorted(self.retired_terms),
            "orders": [[order.id, order.reason, order.by, order.host_only] for order in sorted(self.orders)],
            "lifted": sorted(self.lifted),
            "revoked": sorted(self.revoked),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(
            generation=int(content["generation"]),
            term=int(content["term"]),
            retired_terms=frozenset(content["retired_terms"]),
            orders=frozenset(Order(*order) for order in content["orders"]),
            lifted=frozenset(content["lifted"]),
            revoked=frozenset(content["revoked"]),
        )


FENCE, STALE, CALLER = "fence", "stale", "caller"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a start is refused: `kind` is FENCE, STALE or CALLER."""

    kind: str
    culprit: str
    value: str
    remedy: str


_RESUME = "nothing starts on this host until `chaos-agent resume` is typed there"


def objections_of_host(standing: Standing) -> Iterator[Objection]:
    """What keeps every start out of this host alone; the fleet's fence is its controller's to tell."""
    for order in standing.up:
        if order.host_only:
            yield Objection(FENCE, "abort", f"{order.by}: {order.reason}", _RESUME)


def objections_to_start(
    standing: Standing, fleet: str, guard: Guard, *, now: int, ended_ids: Collection[str], injection_id: str
) -> Iterator[Objection]:
    """Why this start may not be. Asked under the start's lock, and again right before "go"."""
    if guard.fleet != fleet:
        yield Objection(CALLER, "fleet", guard.fleet, f"this host belongs to {fleet!r}")
    for order in standing.up:
        remedy = _RESUME if order.host_only else "lift the fence first"
        yield Objection(FENCE, "abort", f"{order.id} by {order.by}: {order.reason}", remedy)
    if injection_id in ended_ids:
        yield Objection(STALE, "injection", injection_id, "it has ended and never starts again; use a new id")
    if guard.generation != standing.generation:
        change = f"{guard.generation}, now {standing.generation}"
        yield Objection(STALE, "generation", change, "the host was aborted or restarted meanwhile; check again")
    if guard.term != standing.term or guard.term in standing.retired_terms:
        yield Objection(STALE, "term", f"{guard.term}, now {standing.term}", "another controller is in charge")
    age = now - guard.tick
    if not 0 <= age <= OLDEST_TICK_NS:
        yield Objection(STALE, "tick", f"{age / 10**9:.1f} s old", "the order was too long on its way; check again")
