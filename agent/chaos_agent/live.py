"""An injection that is not over, as the daemon has it: its record, its worker, what it holds."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chaos_agent.contract import Claim
from chaos_agent.host import clock
from chaos_agent.host.workers import WorkerProcess
from chaos_agent.records import ACTIVE, REVERTING, Record


@dataclass
class Live:
    """An injection that is not over."""

    record: Record
    worker: WorkerProcess
    claims: Sequence[Claim]
    went: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def become(self, record: Record) -> None:
        """The record as it is now; whoever waits for it looks again."""
        self.record = record
        async with self.changed:
            self.changed.notify_all()

    async def wait(self, until: Callable[[Record], bool], seconds: float) -> Record:
        """The record as soon as it meets the condition, or as it is after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.changed:
                await self.changed.wait_for(lambda: until(self.record))
        return self.record


def told(record: Record, report: Mapping[str, Any]) -> Record:
    """The record after a worker's report."""
    if "active" in report:
        tick = report["active"]
        return replace(record, state=ACTIVE, active_tick=tick, active_unix_ns=clock.unix_ns_at(tick))
    if "sample" in report:
        said = {key: report[key] for key in ("observed", "drift", "unproven")}
        return replace(record, **said)
    if "inert" in report:
        tick = report["inert"]
        return replace(record, state=REVERTING, inert_tick=tick, inert_unix_ns=clock.unix_ns_at(tick))
    return replace(record, state=REVERTING) if "reverting" in report else record
