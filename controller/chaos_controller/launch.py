"""From a plan to a run: the last checks, and the one transaction that reserves every target."""

import uuid
from dataclasses import dataclass
from functools import partial

from chaos_protocol import catalogue

from chaos_controller.events import Ordered
from chaos_controller.experiment import Experiment, Request, Row
from chaos_controller.fence import Fence
from chaos_controller.objections import objection, refused
from chaos_controller.office import Desk
from chaos_controller.plan import Plan
from chaos_controller.planner import Planner
from chaos_controller.runner import Runner
from chaos_controller.states import Ended, ExperimentState, Reason
from chaos_controller.store.history import History, StoredPlan
from chaos_controller.tasks import Tasks
from chaos_controller.timing import Now


@dataclass(frozen=True, slots=True)
class Started:
    """A run; without a plan it is the one that had the same idempotency key before."""

    experiment: Experiment
    plan: Plan | None


class Launch:
    """Starts experiments."""

    def __init__(
        self, planner: Planner, history: History, desk: Desk, runner: Runner, fence: Fence, tasks: Tasks, now: Now
    ) -> None:
        self._planner = planner
        self._history = history
        self._desk = desk
        self._runner = runner
        self._fence = fence
        self._tasks = tasks
        self._now = now

    async def keep(self, plan: Plan) -> None:
        """Keep a plan, so that it can be carried out by its hash."""
        if plan.targets:
            frozen = [(target.name, target.id) for target in plan.targets]
            known = catalogue.catalogue_hash()
            stored = StoredPlan(plan.hash, plan.request.wire, frozen, known, plan.expires_at)
            await self._desk.write(partial(self._history.save_plan, stored, self._now()))

    async def run(self, asked: Request | str, by: str, key: str | None, keepalive_ns: int) -> Started:
        """Run what is asked for, or the plan with this hash; raises `Refused` when anything speaks against it."""
        if key is not None and (known := await self._desk.read(partial(self._history.id_by_key, by, key))):
            return Started(await self._known(known), None)
        plan = await self._plan(asked)
        if plan.objections:
            raise refused(plan.objections)
        experiment = self._experiment(plan, by, keepalive_ns)
        # To its end even if the caller hangs up now: what is reserved must not be left to nobody.
        return await self._tasks.finish(self._admit(experiment, plan, key))

    async def _plan(self, asked: Request | str) -> Plan:
        if isinstance(asked, Request):
            return await self._planner.plan(asked)
        stored = await self._desk.read(partial(self._history.plan, asked))
        if stored is None:
            missing = objection(Reason.MISSING, "plan", asked, "is not known; make one with `chaosctl plan`")
            raise refused([missing])
        return await self._planner.plan_again(stored)

    def _experiment(self, plan: Plan, by: str, keepalive_ns: int) -> Experiment:
        now, request = self._now(), plan.request
        waits = request.start_in_ns > 0
        rows = tuple(
            Row(injection_id=str(uuid.uuid4()), host=target.name, fault=index)
            for target in plan.targets
            for index in range(len(request.faults))
        )
        return Experiment(
            id=str(uuid.uuid4()),
            by=by,
            request=request,
            plan_hash=plan.hash,
            created_at=now,
            rows=rows,
            state=ExperimentState.WAITING if waits else ExperimentState.RUNNING,
            keepalive_ns=keepalive_ns,
            heard_at=now,
            due_at=now + request.start_in_ns,
            started_at=None if waits else now,
        )

    async def _admit(self, experiment: Experiment, plan: Plan, key: str | None) -> Started:
        judge = self._planner.judge(plan.targets)
        known = await self._desk.write(partial(self._history.admit, experiment, key, judge))
        if known is not None:
            return Started(await self._known(known), None)
        if self._fence.is_up:
            # It went up while the transaction ran: nothing was sent, and nothing will be.
            self._runner.take(experiment)
            self._runner.feed(experiment.id, Ordered(Ended.OPERATOR, "an abort went up meanwhile"))
        else:
            self._runner.begin(experiment)
        return Started(self._runner.experiment(experiment.id) or experiment, plan)

    async def _known(self, experiment_id: str) -> Experiment:
        experiment = self._runner.experiment(experiment_id)
        if experiment is None:
            experiment = await self._desk.read(partial(self._history.load, experiment_id))
        assert experiment is not None, "its id was just read from the store"
        return experiment
