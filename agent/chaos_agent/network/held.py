"""A diversion in effect: legs (a direction of an interface each), one gate for them all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from chaos_agent.contract import FaultFailed, Observation, Undo
from chaos_agent.host import bpf, links, tc
from chaos_agent.host.netlink import Netlink
from chaos_agent.host.tc_netem import Shape
from chaos_agent.network import divert, marks, program
from chaos_agent.network.clsact import ClsactRecord
from chaos_agent.network.engine import Engine
from chaos_agent.network.mean import MeanDelay
from chaos_agent.network.netem import NetemEngine
from chaos_agent.network.parameters import protected_from_json, selectors_from_json
from chaos_agent.network.selectors import Selectors

StartEngine = Callable[[Netlink, str, str, Shape], Engine]

_TRAFFIC = 20  # packets that pass an interface while our filter sees none: something stands before it


@dataclass(slots=True)
class Leg:
    """One direction of one interface."""

    hook: divert.Hook
    engine: Engine
    shape: Shape
    counters: bpf.Value
    filter: tc.Filter
    passed_before: int


class Diversion:
    """Satisfies `contract.Held`."""

    def __init__(self, netlink: Netlink, undo: Undo, start: StartEngine = NetemEngine.start) -> None:
        self._netlink, self._undo, self._start, self._id = netlink, undo, start, str(undo["id"])
        self._closed = False
        self._mean = MeanDelay()
        self._record = ClsactRecord(Path(str(undo["runtime_folder"])))
        self._gate = bpf.Value(1, "chaos_gate")
        self._legs: list[Leg] = []

    def open(self, shape: Shape, expires_ns: int) -> None:
        """Build everything with the gate shut, then open it."""
        protected = protected_from_json(cast(Mapping[str, object], self._undo["protected"]))
        for number, leg in enumerate(cast(Sequence[Mapping[str, object]], self._undo["legs"])):
            selectors = selectors_from_json(cast(Mapping[str, object], leg["selectors"]), protected)
            hook = divert.Hook(cast(int, leg["index"]), str(leg["interface"]), str(leg["direction"]))
            self._legs.append(self._build(hook, number, replace(shape, limit=cast(int, leg["limit"])), selectors))
        self.extend(expires_ns)

    def _build(self, hook: divert.Hook, number: int, shape: Shape, selectors: Selectors) -> Leg:
        engine = self._start(self._netlink, marks.device(self._id, number), self._id, shape)
        counters = bpf.Value(program.COUNTERS, "chaos_counters")
        code = program.build(selectors, self._gate.descriptor, counters.descriptor, engine.index)
        with bpf.Program(code) as loaded:  # the filter keeps it
            made = divert.attach(self._netlink, self._record, hook, loaded.descriptor, self._id, engine.index)
        return Leg(hook, engine, shape, counters, made, self._passed(hook))

    def extend(self, expires_ns: int) -> None:
        complaint = "the gate was closed for good" if self._closed else self.wrong()
        if complaint:
            self.close()
            raise FaultFailed(complaint)
        self._gate.write(expires_ns)

    def close(self) -> None:
        """For good: what was closed because something is wrong is not opened by the next renewal."""
        self._closed = True
        self._gate.write(0)

    @property
    def devices(self) -> list[str]:
        """Names of the interfaces that packets are diverted to."""
        return [marks.device(self._id, number) for number in range(len(self._legs))]

    def release(self) -> None:
        """Let go of what only this process holds; in the kernel nothing changes."""
        for leg in self._legs:
            leg.counters.close()
        self._gate.close()
        self._netlink.close()

    def wrong(self) -> str:
        """What is not as it was made, on any leg: before the gate is opened further, packets must have where to go."""
        for leg in self._legs:
            complaint = leg.engine.wrong() or divert.wrong(self._netlink, leg.filter, self._id, leg.engine.index)
            if complaint:
                return f"{leg.hook}: {complaint}"
        return ""

    def change(self, share: float) -> None:
        """Lower every leg's delay to a part of what was asked for."""
        for leg in self._legs:
            leg.engine.change(leg.shape.scaled(share))

    def observe(self) -> Observation:
        drift = self.wrong()
        values = self._values()
        cap = cast(int, self._undo["backlog_cap_bytes"])
        if not drift and values["backlog_bytes"] > cap:
            drift = f"{values['backlog_bytes']} bytes wait, more than the {cap} this host allows"
        if drift:
            self.close()
        matched = values["matched_packets"] > 0
        why = "" if matched else self._why_nothing()
        unproven = "" if matched or why else "no packet of the kind selected has passed yet"
        return Observation(values, effect=matched and not drift, drift=drift, unproven=unproven, why=why)

    def _values(self) -> dict[str, int | float]:
        queues = [queue for leg in self._legs if (queue := leg.engine.queue())]
        found = [tc.read_back(self._netlink, leg.filter) or leg.filter for leg in self._legs]
        values: dict[str, int | float] = {
            "delay_ns": min((queue.shape.delay_ns for queue in queues), default=0),
            "jitter_ns": min((queue.shape.jitter_ns for queue in queues), default=0),
            "matched_packets": sum(one.matched_packets for one in found),
            "matched_bytes": sum(one.matched_bytes for one in found),
            "backlog_packets": sum(queue.packets for queue in queues),
            "backlog_bytes": sum(queue.octets for queue in queues),
            "dropped_packets": sum(queue.dropped for queue in queues) + sum(one.undelivered for one in found),
            "fragments_passed_over": sum(leg.counters.read()[program.PASSED_OVER // 8] for leg in self._legs),
        }
        if values["jitter_ns"]:  # else netem's delay is the packets' delay
            values |= self._mean.sample(int(values["backlog_packets"]), int(values["matched_packets"]))
        return values

    def _why_nothing(self) -> str:
        """Packets pass the interface and our filter was never asked."""
        for leg in self._legs:
            passed = self._passed(leg.hook) - leg.passed_before
            if not leg.counters.read()[program.SEEN] and passed >= _TRAFFIC:
                return (
                    f"{leg.hook}: {passed} packets passed and none came to our filter: an earlier filter, tcx or XDP "
                    f"takes them, or their sender bypasses queueing disciplines"
                )
        return ""

    def _passed(self, hook: divert.Hook) -> int:
        found = links.link(self._netlink, hook.index)
        return found.counters["tx_packets" if hook.direction == "egress" else "rx_packets"] if found else 0
