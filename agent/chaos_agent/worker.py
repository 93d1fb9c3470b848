"""The process of one injection: inject, hold, measure, undo. It ends undoing whatever happens to everybody else.

    python -m chaos_agent.worker STATE_FOLDER INJECTION_ID

It imports neither protobuf nor grpc: it starts in tens of milliseconds. It ends at its deadline, when its lease runs
out, when its pipe to the daemon closes, or when told; the expiries it is given are absolute.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chaos_agent import kinds, undoing
from chaos_agent.contract import Fades, FaultFailed, Held, Observation, Reverted
from chaos_agent.host import clock
from chaos_agent.host.pipes import Lines
from chaos_agent.ledger import Ledger
from chaos_agent.records import Ended, Record

_SAMPLE_NS = 10**9
_NO_EFFECT_SAMPLES = 3
_CUT_SHORT_NS = 2 * 10**9
"""A revert without hurry lowers the effect within so long."""


@dataclass
class _End:
    """Why and how it ends."""

    why: str
    orderly: bool
    note: str = ""


class Worker:
    """One injection in this process."""

    def __init__(self, lines: Lines, record: Record) -> None:
        self._lines = lines
        self._record = record
        self._fault = kinds.load(record.kind)
        self._end: _End | None = None
        self._weak_samples = 0

    def run(self) -> Record:
        """From the start to the proved end."""
        held = self._inject()
        if held:
            self._hold(held)
            self._let_go(held)
        return self._clean()

    def _inject(self) -> Held | None:
        record = self._record
        try:
            held = self._fault.read(record.parameters).inject(record.undo, record.expires_tick)
        except (FaultFailed, OSError) as error:
            self._end = _End(Ended.FAILED, orderly=False, note=str(error))
            return None
        now = clock.tick_ns()
        self._record = replace(record, active_tick=now, active_unix_ns=clock.unix_ns_at(now))
        self._lines.tell(active=now)
        return held

    def _hold(self, held: Held) -> None:
        # At most a quarter of the duration: most of it is what was asked for.
        whole_ns = self._record.deadline_tick - clock.tick_ns()
        fade_ns = min(held.fade_ns(), whole_ns // 4) if isinstance(held, Fades) else 0
        next_sample = clock.tick_ns()
        while self._end is None:
            now = clock.tick_ns()
            if now >= next_sample:  # the first before anything may end it: no record without a measurement
                self._sample(held)
                next_sample = now + _SAMPLE_NS
            if self._end is None:
                self._end_by_clock(now, fade_ns)
            if self._end is None:
                due = min(next_sample, self._record.lease_tick, self._record.deadline_tick - fade_ns)
                self._obey(held, due - clock.tick_ns())

    def _end_by_clock(self, now: int, fade_ns: int) -> None:
        record = self._record
        if now >= record.lease_tick and record.lease_tick < record.deadline_tick:
            self._end = _End(Ended.CONTROLLER_LOST, orderly=False)
        elif now >= record.deadline_tick - fade_ns:
            self._end = _End(Ended.DURATION, orderly=True)

    def _obey(self, held: Held | None, wait_ns: int) -> None:
        for command in self._lines.wait(wait_ns / 10**9):
            if "extend" in command:
                self._extend(held, command["extend"])
            if "end" in command:
                self._end = _End(command["end"], command["orderly"])
        if self._lines.closed and (self._end is None or self._end.orderly):
            self._end = _End(Ended.AGENT_RESTART, orderly=False)

    def _extend(self, held: Held | None, lease_tick: int) -> None:
        # Lapsed is final: an extension that comes too late changes nothing.
        if held is None or clock.tick_ns() >= self._record.lease_tick:
            return
        self._record = replace(self._record, lease_tick=max(lease_tick, self._record.lease_tick))
        try:
            held.extend(self._record.expires_tick)
        except FaultFailed as error:
            self._end = self._end or _End(Ended.DRIFT, orderly=False, note=str(error))

    def _sample(self, held: Held) -> None:
        try:
            seen = held.observe()
        except (FaultFailed, OSError) as error:
            seen = Observation({}, effect=False, drift=str(error))
        self._record = replace(self._record, observed=dict(seen.values), drift=seen.drift, unproven=seen.unproven)
        self._lines.tell(sample=clock.tick_ns(), observed=seen.values, drift=seen.drift, unproven=seen.unproven)
        self._weak_samples = 0 if seen.effect or seen.unproven else self._weak_samples + 1
        if seen.drift:
            self._end = _End(Ended.DRIFT, orderly=False, note=seen.drift)
        elif self._weak_samples >= _NO_EFFECT_SAMPLES:
            self._end = _End(Ended.NO_EFFECT, orderly=False, note=seen.why or "nothing of what was asked was measured")

    def _let_go(self, held: Held) -> None:
        assert self._end is not None
        if self._end.orderly and isinstance(held, Fades):
            self._lines.tell(reverting=clock.tick_ns())
            self._fade(held)
        try:
            held.close()
        except (FaultFailed, OSError):
            return  # revert removes it all the same, and the time of that is the time of inertness
        now = clock.tick_ns()
        self._record = replace(self._record, inert_tick=now, inert_unix_ns=clock.unix_ns_at(now))
        self._lines.tell(inert=now)

    def _fade(self, held: Fades) -> None:
        now = clock.tick_ns()
        until = min(self._record.deadline_tick, now + max(held.fade_ns(), _CUT_SHORT_NS))

        def hurry() -> bool:
            self._obey(None, 0)
            lapsed = clock.tick_ns() >= self._record.lease_tick
            return lapsed or self._end is None or not self._end.orderly

        with contextlib.suppress(FaultFailed, OSError):
            held.fade(until, hurry)

    def _clean(self) -> Record:
        assert self._end is not None
        self._lines.tell(reverting=clock.tick_ns())
        try:
            reverted = self._fault.revert(self._record.undo)
        except OSError as error:
            reverted = Reverted("still present", str(error))
        record = replace(self._record, left=self._end.note)
        return undoing.finished(record, self._end.why, reverted)


def main(folder: str, injection_id: str) -> int:
    """Take the injection's lock, wait for "go", see it through, write down how it ended."""
    # A terminal's Ctrl-C and a service manager's stop are for the daemon, which tells us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _offer_to_the_oom_killer()
    ledger = Ledger(Path(folder))
    lines = Lines(0, 1)
    lock = ledger.lock(injection_id)
    if not lock.take():
        return 1
    lines.tell(ready=os.getpid())
    record = _wait_go(lines)
    if record is None:
        return 0
    done = Worker(lines, record).run()
    result = _changes(record, done)
    ledger.write_result(injection_id, result)
    lines.tell(over=result)
    return 0


def _wait_go(lines: Lines) -> Record | None:
    while not lines.closed:
        for command in lines.wait(3600):
            if "go" in command:
                return Record.from_json(command["go"])
    return None


def _changes(before: Record, after: Record) -> dict[str, Any]:
    old: Mapping[str, Any] = asdict(before)
    return {key: value for key, value in asdict(after).items() if value != old[key]}


def _offer_to_the_oom_killer() -> None:
    # The fault must not kill what undoes it: this process goes first, the daemon last.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
