"""Makes plans: asks the pure core for targets and sums, and every target whether it can. Nothing is touched."""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence

from chaos_protocol import catalogue
from chaos_protocol.problems import Problem, Refused

from chaos_controller import blast_radius, plan, targets, timing, wire
from chaos_controller.blast_radius import Member
from chaos_controller.client import HostLostError
from chaos_controller.experiment import Request
from chaos_controller.fence import Fence
from chaos_controller.fleet import Fleet
from chaos_controller.objections import Objection, objection, refused
from chaos_controller.office import Desk
from chaos_controller.plan import Plan, PlannedTarget, Verdict
from chaos_controller.policy import Policy
from chaos_controller.saver import Saver
from chaos_controller.states import Reason
from chaos_controller.store.history import History, StoredPlan
from chaos_controller.targets import Candidate

_SEED_BITS = 32
_WAIT_ONLINE_S = 1.0
_SETTLE_S = 1.0


class Planner:
    """Plans for this fleet under this policy."""

    def __init__(
        self,
        fleet: Fleet,
        policy: Policy,
        fence: Fence,
        history: History,
        desk: Desk,
        saver: Saver,
        now: timing.Now,
    ) -> None:
        self._fleet = fleet
        self._policy = policy
        self._fence = fence
        self._history = history
        self._desk = desk
        self._saver = saver
        self._now = now

    async def plan(self, asked: Request) -> Plan:
        """What would be done, or why it would be refused."""
        candidates = self._fleet.candidates()
        choice = targets.choose(
            asked.selection, list(candidates.values()), self._policy.protects, lambda: secrets.randbits(_SEED_BITS)
        )
        request = wire.with_seed(asked, choice.seed)
        return await self._judged(request, choice.targets, choice.spared, choice.objections)

    async def plan_again(self, stored: StoredPlan) -> Plan:
        """The same decision for its frozen targets, with every condition checked anew."""
        request = wire.request_from(stored.spec)
        known = catalogue.catalogue_hash()
        if stale := plan.objections_to_age(stored.hash, stored.expires_at, stored.catalogue, known, self._now()):
            raise refused(stale)
        candidates = self._fleet.candidates()
        gone = plan.objections_to_frozen(request, stored.targets, candidates, self._policy)
        frozen = [Candidate(name, host_id) for name, host_id in stored.targets]
        return await self._judged(request, frozen, (), gone)

    async def _judged(
        self,
        request: Request,
        chosen: Sequence[Candidate],
        spared: Sequence[targets.Spared],
        objections: Sequence[Objection],
    ) -> Plan:
        planned, members = await asyncio.gather(self._ask(request, chosen), self.members())
        wanted = {host.name for host in chosen}
        against = (
            *objections,
            *self._policy.objections([fault.kind for fault in request.faults], request.duration_ns),
            *self._objections_of_fence(),
            *plan.objections_of_hosts(planned),
            *blast_radius.objections(self._policy, members, wanted),
        )
        return Plan(
            hash=plan.hash_of(request, chosen, catalogue.catalogue_hash()) if chosen else "",
            request=request,
            targets=planned,
            spared=spared,
            objections=against,
            expires_at=self._now() + timing.PLAN_VALID_NS,
            budget=blast_radius.sentence(self._policy, members, wanted),
        )

    def judge(self, chosen: Sequence[PlannedTarget]) -> "_Judge":
        """The last word, spoken inside the admitting transaction."""
        return _Judge(self._fleet.offline(), self._policy, tuple(chosen), self._now())

    async def members(self) -> list[Member]:
        """The fleet as budgets see it now. What has just been proved is on its way to the store: let it arrive."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._saver.flush(), _SETTLE_S)
        members = await self._desk.read(self._history.members)
        waits_ns = self._policy.retire_offline_after_ns
        return blast_radius.with_presence(members, self._fleet.offline(), waits_ns, self._now())

    def _objections_of_fence(self) -> list[Objection]:
        return [
            objection(Reason.FENCE, "fence", f"{up.by}: {up.reason}", "is up; `chaosctl fence lift` when it is safe")
            for up in self._fence.up
        ]

    async def _ask(self, request: Request, chosen: Sequence[Candidate]) -> list[PlannedTarget]:
        """Every target at the same time; a slow one delays the answer by its own limit and no more."""
        return list(await asyncio.gather(*(self._ask_one(request, host) for host in chosen)))

    async def _ask_one(self, request: Request, host: Candidate) -> PlannedTarget:
        session = self._fleet.session(host.name)
        try:
            if session is None or not await session.wait_online(_WAIT_ONLINE_S) or session.client is None:
                raise HostLostError(session.offline_why if session else "it is not enrolled")
            verdicts, guard = await session.client.check(request.faults, request.duration_ns)
            session.guard = guard
        except HostLostError as error:
            if session:
                session.give_up()
            verdicts = (Verdict((Problem("host", "", f"does not answer ({error}); leave it out or mend it"),)),)
        except Refused as refusal:
            verdicts = (Verdict(refusal.problems, Reason(refusal.reason)),)
        return PlannedTarget(host.name, host.id, verdicts)


class _Judge:
    """What speaks against a run, given the fleet as the admitting transaction sees it. Called in the store's thread."""

    def __init__(self, offline: Mapping[str, int], policy: Policy, chosen: Sequence[PlannedTarget], now: int) -> None:
        self._offline = offline
        self._policy = policy
        self._chosen = chosen
        self._now = now

    def __call__(self, members: Sequence[Member]) -> Sequence[Objection]:
        enrolled = {member.name for member in members}
        gone = [
            objection(Reason.MISSING, "targets", host.name, "was retired meanwhile; plan again")
            for host in self._chosen
            if host.name not in enrolled
        ]
        waits_ns = self._policy.retire_offline_after_ns
        present = blast_radius.with_presence(members, self._offline, waits_ns, self._now)
        return [*gone, *blast_radius.objections(self._policy, present, {host.name for host in self._chosen})]
