"""Delay packets on their way out of or into the host; the root qdisc and everybody's filters stay as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, cast

from chaos_protocol.problems import Problem

from chaos_agent.contract import Held, Parameters, Reverted, Settings, Undo, Verdict
from chaos_agent.host import links
from chaos_agent.host.netlink import Netlink
from chaos_agent.host.tc_netem import Shape
from chaos_agent.network import marks
from chaos_agent.network import undo as network_undo
from chaos_agent.network.parameters import Traffic
from chaos_agent.network.planning import Plan, plan_diversion

_ASSUMED_MBIT = 10_000  # where the driver does not know: most virtual interfaces
_FEWEST_PACKETS, _ROOM = 1000, 1.25
_WIDEST_JITTER_NS = 2**31 - 1  # netem keeps it in 32 bits


@dataclass(frozen=True, slots=True)
class Latency:
    """One way: with direction `both` a round trip takes twice as much longer."""

    delay_ns: int
    jitter_ns: int = 0
    in_order: bool = True
    traffic: Traffic = field(default_factory=Traffic)

    @classmethod
    def missing(cls) -> Sequence[Problem]:
        from chaos_agent.host import needs  # only the daemon asks, and only once

        return needs.missing()

    @classmethod
    def read(cls, parameters: Parameters) -> Self:
        return cls(
            delay_ns=cast(int, parameters["delay_ns"]),
            jitter_ns=cast(int, parameters.get("jitter_ns", 0)),
            in_order=parameters.get("reorder", "forbid") != "allow",
            traffic=Traffic.read(parameters),
        )

    def check(self, injection_id: str, settings: Settings) -> Verdict:
        plan = plan_diversion(self.traffic, settings)
        capacities = [self.capacity(link, settings.backlog_cap_bytes) for link in plan.interfaces]
        return Verdict(
            problems=[*self._problems(), *plan.problems],
            notes=[*plan.notes, *self._notes(plan, capacities)],
            facts=plan.facts,
            claims=plan.claims,
            undo={
                "id": injection_id,
                "delay_ns": self.delay_ns,
                "jitter_ns": self.jitter_ns,
                "in_order": self.in_order,
                "legs": self._with_limits(plan.legs, capacities),
                "protected": plan.protected,
                "backlog_cap_bytes": settings.backlog_cap_bytes,
                "runtime_folder": settings.runtime_folder,
            },
        )

    @property
    def shape(self) -> Shape:
        """Each leg has a limit of its own."""
        return Shape(self.delay_ns, self.jitter_ns, _FEWEST_PACKETS, self.in_order)

    def capacity(self, link: links.Link, cap_bytes: int) -> int:
        """How many packets must fit: what the link carries in the time of the delay, within what the host allows."""
        megabits = links.speed_mbit(link.name) or _ASSUMED_MBIT
        packets = megabits * 1_000_000 / 8 * (self.delay_ns + self.jitter_ns) / 1e9 / link.mtu
        return int(max(_FEWEST_PACKETS, min(packets * _ROOM, cap_bytes / link.mtu)))

    def inject(self, undo: Undo, expires_ns: int) -> Held:
        from chaos_agent.network.fading import Fading  # the worker alone needs it

        held = Fading(Netlink(), undo)
        held.open(self.shape, expires_ns)
        return held

    @classmethod
    def scan(cls) -> Sequence[tuple[str, Undo]]:
        return [(marked, {"id": marked}) for marked in marks.all_marks()]

    @classmethod
    def revert(cls, undo: Undo) -> Reverted:
        return network_undo.revert(undo)

    def _with_limits(self, legs: Sequence[dict[str, object]], capacities: Sequence[int]) -> list[dict[str, object]]:
        limits = [capacity for capacity in capacities for _ in self.traffic.directions]
        return [{**leg, "limit": limit} for leg, limit in zip(legs, limits, strict=True)]

    def _problems(self) -> list[Problem]:
        if self.jitter_ns > self.delay_ns:
            return [
                Problem("jitter", f"{self.jitter_ns} ns", "is more than the delay it varies; make it at most as much")
            ]
        if self.jitter_ns > _WIDEST_JITTER_NS:
            return [Problem("jitter", f"{self.jitter_ns} ns", "is more than netem can vary a delay by; at most 2147ms")]
        return []

    def _notes(self, plan: Plan, capacities: Sequence[int]) -> list[str]:
        longest_s = (self.delay_ns + self.jitter_ns) / 1e9
        notes = [
            f"{link.name}: up to {capacity} packets wait; above {capacity / longest_s:.0f} packets/s "
            f"({capacity * link.mtu * 8 / longest_s / 1e6:.0f} Mbit/s of full ones) the delay becomes loss"
            for link, capacity in zip(plan.interfaces, capacities, strict=True)
        ]
        if self.jitter_ns and self.in_order:
            notes.append("packets keep their order, so jitter raises the mean delay; see what is observed")
        return notes


FAULT = Latency
