"""Carries the playbook's commands to the hosts: one task a row, so that no host waits for another."""

import asyncio
import logging
import uuid

from chaos_protocol import problems

from chaos_controller.client import Client, Guard, HostLostError
from chaos_controller.events import Command, Found, Inject, Lost, Ordered, Refused, Reported, Revert, Sending, Stop
from chaos_controller.experiment import Experiment, Report, Row
from chaos_controller.fence import Fence
from chaos_controller.fleet import Fleet
from chaos_controller.runner import Runner
from chaos_controller.saver import Saver
from chaos_controller.session import Session
from chaos_controller.states import Ended, Reason, TargetState
from chaos_controller.store.records import AbortRecord
from chaos_controller.tasks import Tasks
from chaos_controller.timing import SECOND, Now

log = logging.getLogger(__name__)
_MOST_STARTS = 256
_PATIENCE_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Hands:
    """Injects, stops and reverts. Starts are limited in number; ends never are."""

    def __init__(self, runner: Runner, fleet: Fleet, fence: Fence, saver: Saver, tasks: Tasks, term: int, now: Now):
        self._runner = runner
        self._fleet = fleet
        self._fence = fence
        self._saver = saver
        self._tasks = tasks
        self._term = term
        self._now = now
        self._starts = asyncio.Semaphore(_MOST_STARTS)
        self._pursued: set[str] = set()

    def carry_out(self, experiment: Experiment, command: Command) -> None:
        """Begin what the playbook asks for; returns at once."""
        match command:
            case Inject(injection_id, after_ns):
                self._tasks.spawn(self._start(experiment.id, injection_id, after_ns), f"start {injection_id}")
            case Stop(host, injection_ids):
                self._tasks.spawn(self._stop(host, injection_ids, experiment), f"stop on {host}")
            case Revert(injection_id):
                self._pursue(injection_id)

    def end_stranger(self, host: str, injection_id: str) -> None:
        """End what the host holds and nobody here knows."""
        self._tasks.spawn(self._revert_stranger(host, injection_id), f"stranger {injection_id}")

    # -- start -----------------------------------------------------------------------------------------------------

    async def _start(self, experiment_id: str, injection_id: str, after_ns: int) -> None:
        await asyncio.sleep(after_ns / SECOND)
        if (experiment := self._runner.experiment(experiment_id)) and experiment.request.start_in_ns:
            # It waited: that it runs now must be on disk before any host hears of it.
            await self._saver.flush()
        async with self._starts:
            try:
                await self._inject(experiment_id, injection_id)
            except problems.Refused as refused:
                self._runner.feed(experiment_id, Refused(injection_id, Reason(refused.reason), str(refused)))
            except HostLostError as error:
                self._runner.feed(experiment_id, Lost(injection_id, f"no answer: {error}"))

    async def _inject(self, experiment_id: str, injection_id: str) -> None:
        found = self._startable(experiment_id, injection_id)
        if found is None:
            return
        experiment, row = found
        session = self._fleet.session(row.host)
        if session is None or session.client is None:
            raise HostLostError("it is offline")
        client = session.client
        guard = session.fresh_guard() or await self._fresh_guard(session, client, experiment, row)
        # Last look; no await between here and the call.
        if self._startable(experiment_id, injection_id) is None:
            return
        if self._fence.is_up:
            self._runner.feed(experiment_id, Ordered(Ended.OPERATOR, "an abort is up"))
            return
        self._runner.feed(experiment_id, Sending(injection_id, guard.read_at))
        fault = experiment.request.faults[row.fault]
        try:
            report = await client.inject(injection_id, fault, experiment.request, self._term, guard)
        except (HostLostError, problems.Refused):
            session.guard = None  # whatever it was, the next try shall show a new one
            raise
        self._runner.feed(experiment_id, Reported(report))

    def _startable(self, experiment_id: str, injection_id: str) -> tuple[Experiment, Row] | None:
        experiment = self._runner.experiment(experiment_id)
        row = experiment.row(injection_id) if experiment else None
        if experiment is None or row is None or experiment.is_ending:
            return None
        return (experiment, row) if row.state in (TargetState.RESERVED, TargetState.TOLD) else None

    async def _fresh_guard(self, session: Session, client: Client, experiment: Experiment, row: Row) -> Guard:
        """Asks the host again whether it can, which also gives what its guard wants to see."""
        request = experiment.request
        verdicts, guard = await client.check([request.faults[row.fault]], request.duration_ns)
        for verdict in verdicts:
            if verdict.problems and not row.was_sent:
                raise problems.Refused(verdict.problems, verdict.reason)
        session.guard = guard
        return guard

    # -- end -------------------------------------------------------------------------------------------------------

    async def _stop(self, host: str, injection_ids: tuple[str, ...], experiment: Experiment) -> None:
        """One call that makes all of them inert; the proofs are asked for afterwards."""
        session = self._fleet.session(host)
        try:
            if session and session.client:
                for report in await self._abort(session.client, injection_ids, experiment):
                    self._runner.feed_injection(report.id, Reported(report))
        except HostLostError as error:
            log.warning("%s does not answer to abort: %s", host, error)
            if session:
                session.give_up()
        except problems.Refused as refused:
            log.error("%s refused an abort: %s", host, refused)
        for injection_id in injection_ids:
            self._pursue(injection_id)

    async def _abort(self, client: Client, injection_ids: tuple[str, ...], experiment: Experiment) -> list[Report]:
        if up := self._fence.up:
            return await client.abort(up[-1])
        order = AbortRecord(str(uuid.uuid4()), experiment.note, experiment.by, self._now())
        return await client.abort(order, injection_ids)

    def _pursue(self, injection_id: str) -> None:
        if injection_id not in self._pursued:
            self._pursued.add(injection_id)
            self._tasks.spawn(self._revert_until_proved(injection_id), f"revert {injection_id}")

    async def _revert_until_proved(self, injection_id: str) -> None:
        tries = 0
        try:
            while (row := self._runner.row(injection_id)) and not row.is_free:
                session = self._fleet.session(row.host)
                if session is None:
                    return  # retired: nobody is asked any more
                if await session.wait_online(_PATIENCE_S[-1]):
                    await self._revert(session, injection_id)
                    await asyncio.sleep(self._patience_s(injection_id, tries))
                    tries += 1
        finally:
            self._pursued.discard(injection_id)

    def _patience_s(self, injection_id: str, tries: int) -> float:
        row = self._runner.row(injection_id)
        return 0 if row is None or row.is_free else _PATIENCE_S[min(tries, len(_PATIENCE_S) - 1)]

    async def _revert(self, session: Session, injection_id: str) -> None:
        if session.client is None:
            return
        try:
            outcome, report = await session.client.revert(injection_id)
        except HostLostError as error:
            log.warning("%s does not answer to revert: %s", session.name, error)
            session.give_up()
        except problems.Refused as refused:
            log.error("%s refused a revert: %s", session.name, refused)
        else:
            self._runner.feed_injection(injection_id, Reported(report) if report else Found(injection_id, outcome))

    async def _revert_stranger(self, host: str, injection_id: str) -> None:
        session = self._fleet.session(host)
        if session:
            await self._revert(session, injection_id)
