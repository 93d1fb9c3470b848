"""Latencies of a test: injected in namespaces as a worker would, and reverted at the test's end whatever happened."""

import json
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from chaos_agent.contract import Claim, Reverted, Settings
from chaos_agent.faults.latency import Latency
from chaos_agent.host.netlink import Netlink
from chaos_agent.network.fading import Fading
from chaos_agent.network.held import StartEngine
from chaos_agent.network.netem import NetemEngine

from tests.fakes.network import Host

MILLISECOND, SECOND = 10**6, 10**9


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Running:
    """One latency in effect."""

    host: Host
    injection_id: str
    undo: dict[str, object]
    held: Fading
    claims: list[Claim]

    def revert(self) -> Reverted:
        with self.host.inside():
            return Latency.revert(self.undo)

    def fade(self, within_ns: int) -> None:
        self.held.fade(now() + within_ns, lambda: False)


@dataclass(slots=True)
class Latencies:
    """Injects; `start` may be another engine where the kernel has no netem."""

    folder: Path
    start: StartEngine = NetemEngine.start
    running: list[Running] = field(default_factory=list)

    def inject(self, host: Host, delay_ms: float = 100, lasts_s: float = 60, **parameters: object) -> Running:
        fault = Latency.read({"delay_ns": int(delay_ms * MILLISECOND), **parameters})
        injection_id = str(uuid.uuid4())
        with host.inside():
            verdict = fault.check(injection_id, self.settings())
            assert not verdict.problems, verdict.problems
            undo = json.loads(json.dumps(verdict.undo))  # as it comes back from the journal
            held = Fading(Netlink(), undo, self.start)
            self.running.append(Running(host, injection_id, undo, held, list(verdict.claims)))
            held.open(fault.shape, now() + int(lasts_s * SECOND))
        return self.running[-1]

    def settings(self) -> Settings:
        return Settings(agent_port=7443, runtime_folder=str(self.folder))

    def end(self) -> None:
        for running in self.running:
            running.held.release()
            assert running.revert().result in ("reverted", "no trace")
