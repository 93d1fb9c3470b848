"""Experiments under way: every event goes through here to the playbook, its commands to the hands."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chaos_controller import playbook
from chaos_controller.events import Accepted, Command, Connected, Event, Passed, Renewed, Reported, Sampled
from chaos_controller.experiment import Experiment, Report, Row
from chaos_controller.fleet import Fleet
from chaos_controller.saver import Saver
from chaos_controller.states import TargetState
from chaos_controller.store.records import AbortRecord, AuditRecord
from chaos_controller.timing import SECOND, Now

log = logging.getLogger(__name__)
_CADENCE_S = 0.25
_SNAPSHOT_S = 1.0
_GATHERED_A_ROW_S, _MOST_GATHERED_S = 0.0002, 0.2


class Hands(Protocol):
    """Who carries commands out."""

    def carry_out(self, experiment: Experiment, command: Command) -> None: ...
    def end_stranger(self, host: str, injection_id: str) -> None: ...


@dataclass
class Live:
    """An experiment under way; whoever holds this sees its end even when the runner has forgotten it."""

    experiment: Experiment


class Changes:
    """Wakes whoever waits for the next change of anything, and gathers what comes close together."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something changed."""
        self._next.set()
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Set at the next change; take it before looking."""
        return self._next

    async def wait(self, change: asyncio.Event, seconds: float, rows: int) -> None:
        """Until the change has come, or so long. A picture of many rows is not drawn anew for each of them."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(change.wait(), seconds)
            await asyncio.sleep(min(_MOST_GATHERED_S, rows * _GATHERED_A_ROW_S))


class Runner:
    """Keeps every experiment that is not over, or of which something is not proved clean."""

    def __init__(self, fleet: Fleet, saver: Saver, now: Now) -> None:
        self._fleet = fleet
        self._saver = saver
        self._now = now
        self.changes = Changes()
        self._live: dict[str, Live] = {}
        self._home: dict[str, str] = {}  # experiment of an injection
        self._held: dict[str, dict[str, int]] = {}  # lease of each injection that a host may hold
        self._wake = asyncio.Event()
        self.hands: Hands
        self.on_aborts: Callable[[str, Sequence[AbortRecord], Sequence[str]], None]

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def experiments(self) -> list[Experiment]:
        return [live.experiment for live in self._live.values()]

    def experiment(self, experiment_id: str) -> Experiment | None:
        """The experiment, if it is still kept here; else the store has it."""
        live = self._live.get(experiment_id)
        return live.experiment if live else None

    def live(self, experiment_id: str) -> Live | None:
        """The same, to be looked at again later."""
        return self._live.get(experiment_id)

    def row(self, injection_id: str) -> Row | None:
        """The row of an injection."""
        experiment = self.experiment(self._home.get(injection_id, ""))
        return experiment.row(injection_id) if experiment else None

    def rows_on(self, host: str) -> list[tuple[Experiment, Row]]:
        """Rows of a host that are not proved clean or accepted."""
        return [(each, row) for each in self.experiments for row in each.rows_on(host) if not row.is_free]

    # -- what happens ----------------------------------------------------------------------------------------------

    def take(self, experiment: Experiment) -> None:
        """Keep an experiment from here on."""
        self._live[experiment.id] = Live(experiment)
        for row in experiment.rows:
            self._home[row.injection_id] = experiment.id
            self._hold(experiment, row)
        self._wake.set()

    def begin(self, experiment: Experiment) -> None:
        """Keep a run that was just admitted, and start it unless it waits."""
        self.take(experiment)
        for command in playbook.first_commands(experiment):
            self.hands.carry_out(experiment, command)

    def feed(self, experiment_id: str, event: Event) -> None:
        """Let the playbook decide, remember what changed, and have its commands carried out."""
        live = self._live.get(experiment_id)
        if live is None:
            return
        before = live.experiment
        after, commands = playbook.step(before, event, self._now())
        live.experiment = after
        if after != before:
            self._note(before, after, stored=not isinstance(event, Sampled))
            self.changes.tell()
        for command in commands:
            self.hands.carry_out(after, command)
        if after.is_forgotten:
            self._saver.when_stored(lambda: self._forget(experiment_id))

    def feed_injection(self, injection_id: str, event: Event) -> None:
        """The same by the id of an injection."""
        self.feed(self._home.get(injection_id, ""), event)

    def accept(self, host: str, by: str, note: str) -> None:
        """A person answers for what is not proved on a host."""
        for experiment in self.experiments:
            self.feed(experiment.id, Accepted(host, by, note))

    def _note(self, before: Experiment, after: Experiment, stored: bool) -> None:
        changed = tuple(new for old, new in zip(before.rows, after.rows, strict=True) if new is not old)
        for row in changed:
            self._hold(after, row)
        if stored:
            self._saver.changed(after, changed)
        if after.is_over and not before.is_over:
            self._ended(after)

    def _hold(self, experiment: Experiment, row: Row) -> None:
        held = self._held.setdefault(row.host, {})
        if row.was_sent and not row.is_free and row.state is not TargetState.PRESUMED_CLEAN:
            news = row.injection_id not in held
            held[row.injection_id] = experiment.request.lease_ns
            if news and (session := self._fleet.session(row.host)):
                session.expect_ticks()
        else:
            held.pop(row.injection_id, None)

    def _ended(self, experiment: Experiment) -> None:
        words = experiment.state.name.lower()
        result = f"{words}: {experiment.note}" if experiment.note else words
        log.info("experiment %s ended: %s", experiment.id, result)
        hosts = sorted({row.host for row in experiment.rows})
        self._saver.audit(AuditRecord(self._now(), "controller", "", "experiment ended", experiment.id, hosts, result))

    def _forget(self, experiment_id: str) -> None:
        live = self._live.get(experiment_id)
        if live and live.experiment.is_forgotten:
            del self._live[experiment_id]
            for row in live.experiment.rows:
                self._home.pop(row.injection_id, None)

    # -- time ------------------------------------------------------------------------------------------------------

    async def keep_time(self) -> None:
        """Tell the playbook when a moment that it waits for has come."""
        while True:
            self._wake.clear()
            self._pass(self._now())
            wait = self._until_next(self._now()) if self._live else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    def _pass(self, now: int) -> None:
        beats = self._fleet.beats()
        for live in list(self._live.values()):
            moment = playbook.next_wake(live.experiment, beats)
            if moment is not None and moment <= now:
                self.feed(live.experiment.id, Passed(beats))

    def _until_next(self, now: int) -> float:
        beats = self._fleet.beats()
        moments = [playbook.next_wake(live.experiment, beats) for live in self._live.values()]
        soonest = min((moment for moment in moments if moment is not None), default=now + SECOND)
        return min(_CADENCE_S, max(0.001, (soonest - now) / SECOND))

    # -- watching --------------------------------------------------------------------------------------------------

    def renew(self, experiment_id: str) -> None:
        """The caller was heard of."""
        self.feed(experiment_id, Renewed())

    async def watch(self, experiment_id: str, renews: bool) -> AsyncIterator[Experiment]:
        """The experiment after each change and at least each second, until it is over.

        While a watch that `renews` is open its caller counts as heard of.
        """
        live = self._live[experiment_id]
        clock_s = asyncio.get_running_loop().time
        # Renewed from in here, so that a stream nobody reads any more renews nothing.
        pause_s = min(_SNAPSHOT_S, live.experiment.keepalive_ns / SECOND / 3 or _SNAPSHOT_S)
        told: Experiment | None = None
        told_at = clock_s()
        while True:
            changed = self.changes.next()
            if renews:
                self.renew(experiment_id)
            if live.experiment != told or clock_s() - told_at >= _SNAPSHOT_S:
                told, told_at = live.experiment, clock_s()
                yield live.experiment
            if told is not None and told.is_over:
                return
            await self.changes.wait(changed, pause_s, len(live.experiment.rows))

    # -- what hosts say (see session.Listener) -----------------------------------------------------------------------

    def adopted(self, host: str) -> Sequence[str]:
        """What the host shall keep: it may run, and nobody has ended it."""
        going = (TargetState.RESERVED, TargetState.TOLD, TargetState.ACTIVE)
        return [row.injection_id for each, row in self.rows_on(host) if row.state in going and not each.is_ending]

    def leases(self, host: str) -> list[int]:
        """Leases of what the host may hold now, in ns."""
        return list(self._held.get(host, {}).values())

    def connected(self, host: str, live: frozenset[str]) -> None:
        """A new stream with the host: what we know and it does not, and the other way round."""
        for experiment in self._with_rows_on(host):
            self.feed(experiment.id, Connected(host, live))
        for stranger in sorted(each for each in live if each not in self._home):
            log.warning("%s holds injection %s, unknown here; it is ended", host, stranger)
            self._saver.audit(AuditRecord(self._now(), "controller", host, "ended unknown injection", stranger, [host]))
            self.hands.end_stranger(host, stranger)

    def reported(self, host: str, report: Report, stored: Callable[[], None]) -> None:
        """The host's record of an injection."""
        if report.id not in self._home:
            stored()
            return
        self.feed_injection(report.id, Reported(report))
        self._saver.when_stored(stored)

    def sampled(self, sample: Sampled) -> None:
        """A measurement."""
        self.feed_injection(sample.injection_id, sample)

    def aborts_heard(self, host: str, up: Sequence[AbortRecord], lifted: Sequence[str]) -> None:
        """Aborts that the host knows of."""
        if up or lifted:
            self.on_aborts(host, up, lifted)

    def disconnected(self, host: str) -> None:
        """The host can't be reached: watchers see it at once."""
        self.changes.tell()

    def _with_rows_on(self, host: str) -> Iterable[Experiment]:
        return {experiment.id: experiment for experiment, _ in self.rows_on(host)}.values()
