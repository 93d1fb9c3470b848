"""The agent's core: starts, renews, ends and accounts for the injections of this host.

It decides by `standing`, remembers in `ledger`, and leaves the work to one worker process an injection. It knows no
kind of fault and no wire. Refusals are raised as `chaos_protocol.problems.Refused` with the reason's word resolved by
the service.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos_protocol.problems import Problem, Refused

from chaos_agent import standing, undoing
from chaos_agent.admission import HOST, INPUT, LAW, Denied, Examiner, Start
from chaos_agent.contract import Claim, Settings, Verdict
from chaos_agent.host import clock
from chaos_agent.host.workers import WorkerProcess
from chaos_agent.law import Law
from chaos_agent.ledger import Ledger
from chaos_agent.live import Live, told
from chaos_agent.records import INJECTING, Ended, Outcome, Record
from chaos_agent.standing import Objection, Order, Standing
from chaos_agent.tasks import to_its_end

log = logging.getLogger(__name__)

_NOBODY = "00000000-0000-0000-0000-000000000000"
_ACTIVE_WITHIN_S = 10.0
_INERT_WITHIN_S = 1.0
_REVERT_REPLY_WITHIN_S = 3.0
_GRACE_S = 5.0
_LONGEST_UNDO_S = 130.0  # two minutes of delay and jitter may have to drain
_RETRY_S = 5.0

Spawn = Callable[[Path, str], Awaitable[WorkerProcess]]


class Injector:
    """All injections of this host. Use `run` as a task; the rest are calls from the service."""

    def __init__(self, ledger: Ledger, fleet: str, law: Law, settings: Settings, spawn: Spawn | None = None) -> None:
        self._ledger = ledger
        self._spawn = spawn or WorkerProcess.start
        self.fleet = fleet
        self.law = law
        self._examiner = Examiner(law, settings, self._holding)
        self._starting = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._live: dict[str, Live] = {}
        self._history: dict[str, Record] = ledger.history()
        self._listeners: list[Callable[[Record], None]] = []
        self._standing_listeners: list[Callable[[], None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self.standing: Standing = ledger.standing().started()

    # -- life ------------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Revert what the journal holds and what bears our name without being in it. Before anything is served."""
        leftovers = await asyncio.to_thread(undoing.leftovers, self._ledger)
        done = await asyncio.gather(*(self._undo(record, Ended.AGENT_RESTART) for record in leftovers))
        for record in done:
            self._history[record.id] = record
        try:
            await asyncio.to_thread(self._ledger.write_standing, self.standing)
        except OSError as error:
            # Without it orders of before this start would be good again after the next.
            remedy = f"can't be written ({error.strerror}); what was under fault here was undone, nothing can start"
            raise Refused([Problem("state", str(self._ledger.folder), remedy)]) from None

    async def run(self) -> None:
        """Look after injections until `stop`; then revert what is live."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for record in [each for each in self._history.values() if each.over and not each.proved and each.outcome]:
                group.create_task(self._undo_until_proved(record, record.ended))
            await self._stopping.wait()
            self._group = None
            for live in self._live.values():
                live.worker.tell(end=Ended.AGENT_RESTART, orderly=False)
            for live in list(self._live.values()):
                await live.wait(lambda record: record.over, _LONGEST_UNDO_S)

    def stop(self) -> None:
        self._stopping.set()

    def listen(
        self, listener: Callable[[Record], None], on_standing: Callable[[], None] = lambda: None
    ) -> Callable[[], None]:
        """Be told of every change of a record, and that the standing changed; returns how to stop that."""
        self._listeners.append(listener)
        self._standing_listeners.append(on_standing)

        def unlisten() -> None:
            self._listeners.remove(listener)
            self._standing_listeners.remove(on_standing)

        return unlisten

    @property
    def live(self) -> list[Record]:
        return [live.record for live in self._live.values()]

    def _holding(self) -> Iterator[tuple[str, Claim]]:
        return ((live.record.id, claim) for live in self._live.values() for claim in live.claims)

    @property
    def ended(self) -> list[Record]:
        return sorted(self._history.values(), key=lambda record: record.clean_unix_ns)

    # -- start -----------------------------------------------------------------------------------------------------

    async def check(self, kind: str, parameters: Mapping[str, Any], duration_ns: int) -> tuple[Verdict, str]:
        """What a start would do here, and the kind of refusal if it has problems. Touches nothing."""
        if closed := list(standing.objections_of_host(self.standing)):
            return Verdict(problems=[Problem(each.culprit, each.value, each.remedy) for each in closed]), standing.FENCE
        try:
            return await self._examiner.examine(_NOBODY, kind, parameters, duration_ns), ""
        except Denied as denied:
            return Verdict(problems=denied.problems), denied.kind

    async def start(self, order: Start) -> Record:
        """Start an injection; returns when it is active or over, or says `injecting` after ten seconds.

        The same id and digest again give the present record. Raises `Denied`. Whoever hangs up meanwhile stops nothing.
        """
        beginning = self._begin(order)
        begun = await (to_its_end(self._group, beginning) if self._group else beginning)
        if isinstance(begun, Record):
            return begun
        return await begun.wait(lambda record: record.state not in ("pending", INJECTING), _ACTIVE_WITHIN_S)

    async def _begin(self, order: Start) -> Live | Record:
        async with self._starting:
            if known := self._present(order):
                return known
            live = await self._prepare(order)
            await self._go(live, order)
            return live

    def _present(self, order: Start) -> Record | None:
        live = self._live.get(order.id)
        known = live.record if live else self._history.get(order.id)
        if known is None or (known.digest and known.digest == order.digest):
            return known
        if known.digest:
            raise Denied(INPUT, [Problem("injection", order.id, "was used for something else; use a new id")])
        return None  # a tombstone: the guard's rules refuse it

    def _object(self, order: Start) -> None:
        objections = standing.objections_to_start(
            self.standing,
            self.fleet,
            order.guard,
            now=clock.tick_ns(),
            ended_ids=self._history.keys(),
            injection_id=order.id,
        )
        objection = next(objections, None)
        if objection is None and self._group is None:
            objection = Objection(standing.STALE, "agent", "stopping", "try again when it is back")
        if objection:
            raise Denied(objection.kind, [Problem(objection.culprit, objection.value, objection.remedy)])

    async def _prepare(self, order: Start) -> Live:
        self._object(order)
        if len(self._live) >= self.law.most_injections:
            raise Denied(LAW, [Problem("injections", str(len(self._live)), "this host's agent.yaml allows no more")])
        accepted = clock.tick_ns()
        spawned = asyncio.gather(self._spawn(self._ledger.folder, order.id), return_exceptions=True)
        try:
            verdict = await self._examiner.examine(order.id, order.kind, order.parameters, order.duration_ns)
        except BaseException:
            await _discard(spawned)
            raise
        worker = (await spawned)[0]
        if isinstance(worker, BaseException):
            raise Denied(HOST, [Problem("worker", str(worker), "the host can't start a process")])
        return Live(order.record(verdict, accepted), worker, verdict.claims)

    async def _go(self, live: Live, order: Start) -> None:
        """Journal, then a last look at what may have happened meanwhile, then go. No await between the last two."""
        self._live[order.id] = live
        try:
            await asyncio.to_thread(self._ledger.enter, live.record)
            self._object(order)
        except (OSError, Denied) as error:
            await self._never_started(live)
            if isinstance(error, Denied):
                raise
            problem = Problem("journal", str(error), "the undo can't be written down, so nothing is touched")
            raise Denied(HOST, [problem]) from error
        assert self._group is not None
        live.went = True
        live.record = replace(live.record, state=INJECTING)
        live.worker.tell(go=live.record.as_json())
        self._group.create_task(self._see_through(live))

    async def _never_started(self, live: Live) -> None:
        live.worker.kill()
        async for _ in live.worker.reports():
            pass
        with contextlib.suppress(OSError):
            done = await asyncio.to_thread(undoing.undo, self._ledger, live.record, Ended.OPERATOR)
            self._history[live.record.id] = done
            await live.become(done)
        self._live.pop(live.record.id)

    # -- hold ------------------------------------------------------------------------------------------------------

    def renew(self, seen_tick: int) -> None:
        """A controller has read our tick `seen_tick`: leases now end that much later. Lapsed is final."""
        now = clock.tick_ns()
        if seen_tick > now:
            return
        for live in self._live.values():
            record = live.record
            lease_tick = max(record.lease_tick, seen_tick + record.lease_ns)
            if now < record.lease_tick < lease_tick:
                live.record = replace(record, lease_tick=lease_tick)
                live.worker.tell(extend=lease_tick)

    async def _see_through(self, live: Live) -> None:
        watchdog = asyncio.get_running_loop().call_later(_GRACE_S, self._watch, live)
        await self._update(live, live.record)  # so that ticks of its lease begin now, not when it is active
        async for report in live.worker.reports():
            await self._update(live, told(live.record, report))
        watchdog.cancel()
        await self._undo_until_proved(live.record, Ended.WORKER_LOST)

    def _watch(self, live: Live) -> None:
        """A worker that is late by more than its undo can take is stopped or stuck: end it, and undo ourselves."""
        record = live.record
        if record.id not in self._live:
            return
        allowed_s = _LONGEST_UNDO_S if record.inert_tick else _GRACE_S
        due = (record.inert_tick or record.expires_tick) + int(allowed_s * 10**9)
        if (late_ns := clock.tick_ns() - due) >= 0:
            log.error("worker of %s is late and is killed", record.id)
            live.worker.kill()
            late_ns = 0
        wait_s = max(0.1, -late_ns / 10**9 if late_ns else _GRACE_S)
        asyncio.get_running_loop().call_later(min(wait_s, _GRACE_S), self._watch, live)

    async def _undo_until_proved(self, record: Record, ended: str) -> None:
        while True:
            done = await self._undo(record, ended)
            self._history[done.id] = done
            live = self._live.get(done.id)
            if live:
                if done.proved:
                    del self._live[done.id]
                await self._update(live, done)
            if done.proved:
                return
            log.error("still on the host: %s", done)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _RETRY_S)
                return

    async def _undo(self, record: Record, ended: str) -> Record:
        try:
            done = await asyncio.to_thread(undoing.undo, self._ledger, record, ended)
        except (OSError, TimeoutError) as error:
            log.exception("undo of %s could not be recorded", record.id)
            done = replace(record, state="failed", ended=ended, outcome=Outcome.UNKNOWN, left=str(error))
        log.info("ended: %s", done)
        return done

    async def _update(self, live: Live, record: Record) -> None:
        if record.state != live.record.state:
            log.info("injection %s", record)
        await live.become(record)
        for listener in list(self._listeners):
            listener(record)

    # -- end -------------------------------------------------------------------------------------------------------

    async def revert(self, injection_id: str) -> tuple[str, Record | None]:
        """End one injection without hurry. The outcome is honest: `reverting` while it is under way."""
        live = self._live.get(injection_id)
        if live is None:
            return await self._revert_ended(injection_id)
        if not live.went:  # it is about to start: the tombstone stops it before its "go"
            self._history[injection_id] = replace(live.record, ended=Ended.OPERATOR)
        live.worker.tell(end=Ended.OPERATOR, orderly=True)
        record = await live.wait(lambda record: record.over, _REVERT_REPLY_WITHIN_S)
        return record.outcome or Outcome.REVERTING, record

    async def _revert_ended(self, injection_id: str) -> tuple[str, Record | None]:
        known = self._history.get(injection_id)
        if known and known.proved:
            return Outcome.ALREADY_CLEAN, known
        tombstone = known or Record(
            injection_id, boot_id=clock.boot_id(), clean_unix_ns=clock.unix_ns_at(clock.tick_ns())
        )
        self._history[injection_id] = tombstone
        try:
            if not known:
                await asyncio.to_thread(self._ledger.write_history, tombstone)
            done = await self._undo(tombstone, Ended.OPERATOR)
        except OSError as error:
            return Outcome.UNKNOWN, replace(tombstone, left=str(error))
        self._history[injection_id] = done
        return done.outcome, done if known else None

    async def abort(self, orders: Iterable[Order], injection_ids: Sequence[str] = ()) -> list[Record]:
        """End injections now: those named, or all, and then nothing starts until the orders are lifted.

        Returns when each is inert, or after a second, with the records as they are then.
        """
        if injection_ids:
            ending = [live for live in self._live.values() if live.record.id in injection_ids]
        else:
            self.standing = self.standing.aborted(orders)
            ending = list(self._live.values())
        for live in ending:
            live.worker.tell(end=Ended.OPERATOR, orderly=False)
            if not live.went:
                self._history[live.record.id] = replace(live.record, ended=Ended.OPERATOR)
        saving = asyncio.gather(self._save(), *(self._revert_ended(each) for each in self._strangers(injection_ids)))
        records = await asyncio.gather(
            *(live.wait(lambda record: bool(record.inert_tick), _INERT_WITHIN_S) for live in ending)
        )
        await saving
        known = [self._history[each] for each in injection_ids if each not in {record.id for record in records}]
        return [*records, *known]

    def _strangers(self, injection_ids: Iterable[str]) -> list[str]:
        return [each for each in injection_ids if each not in self._live]

    async def _save(self) -> None:
        """Tell of the standing and make it durable. What can't be written holds in memory, and is said loudly."""
        for tell in list(self._standing_listeners):
            tell()
        try:
            async with self._saving:
                await asyncio.to_thread(self._ledger.write_standing, self.standing)
        except OSError:
            log.exception("standing can't be written; it holds until the agent ends")

    async def lift(self, ids: Iterable[str]) -> None:
        self.standing = self.standing.lift(ids)
        await self._save()

    # -- the controller's session ----------------------------------------------------------------------------------

    async def merge(
        self, orders: Iterable[Order] = (), lifted: Iterable[str] = (), revoked: Iterable[str] = ()
    ) -> None:
        """Take over aborts, lifts and revocations that a controller knows of."""
        before = self.standing
        self.standing = before.lift(lifted).revoke(revoked)
        if new := [order for order in orders if order.id not in {known.id for known in before.orders}]:
            await self.abort(new)
        elif self.standing != before:
            await self._save()

    async def take_up(self, term: int, retired_terms: Iterable[int], adopted: Sequence[str]) -> None:
        """A controller began: what it does not know of is ended here."""
        newer = term > self.standing.term
        self.standing = self.standing.heard(term, retired_terms)
        if newer:
            await self._save()
            for live in [live for live in self._live.values() if live.record.id not in adopted]:
                log.warning("injection %s is not known to its controller and is ended", live.record.id)
                live.worker.tell(end=Ended.CONTROLLER_LOST, orderly=False)

    async def acknowledge(self, injection_id: str) -> None:
        """The controller has stored this end."""
        record = self._history.get(injection_id)
        if record and not record.acknowledged:
            self._history[injection_id] = replace(record, acknowledged=True)
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._ledger.write_history, self._history[injection_id])
        for old in list(self._history.values()):
            if old.id not in self._live and self._ledger.forget_old(old, clock.unix_ns_at(clock.tick_ns())):
                del self._history[old.id]


async def _discard(spawned: "asyncio.Future[tuple[WorkerProcess | BaseException]]") -> None:
    for worker in await spawned:
        if isinstance(worker, WorkerProcess):
            worker.kill()
            async for _ in worker.reports():
                pass
