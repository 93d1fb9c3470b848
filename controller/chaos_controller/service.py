"""Service `chaos.v1.Controller`: translate, call, translate. The gate has checked the caller and the descriptors."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from chaos_protocol import catalogue, document
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.serving import Caller
from chaos_protocol.v1 import controller_pb2, options_pb2

from chaos_controller import abort, blast_radius, show, targets, wire
from chaos_controller.abort import Aborts, Account
from chaos_controller.auditing import Auditor
from chaos_controller.client import HostLostError
from chaos_controller.experiment import Experiment
from chaos_controller.fence import Fence
from chaos_controller.fleet import Fleet
from chaos_controller.gate import Gate
from chaos_controller.launch import Launch
from chaos_controller.objections import refused
from chaos_controller.office import Desk, Office
from chaos_controller.planner import Planner
from chaos_controller.policy import Policy
from chaos_controller.runner import Runner
from chaos_controller.saver import Saver
from chaos_controller.session import Session
from chaos_controller.states import Reason
from chaos_controller.store.history import History
from chaos_controller.store.inventory import HostRecord
from chaos_controller.store.records import AbortRecord, Records
from chaos_controller.targets import Candidate
from chaos_controller.tasks import Tasks
from chaos_controller.timing import Now

_LIST = 100
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_LIFT_S = 3.0
_DESCRIBE_S = 2.0


@dataclass(frozen=True)
class Service:
    """The API. `fleet_name`, `term`: who we are."""

    fleet_name: str
    term: int
    policy: Policy
    gate: Gate
    fleet: Fleet
    fence: Fence
    runner: Runner
    aborts: Aborts
    planner: Planner
    launch: Launch
    office: Office
    desk: Desk
    history: History
    records: Records
    saver: Saver
    auditor: Auditor
    tasks: Tasks
    now: Now

    # -- experiments -----------------------------------------------------------------------------------------------

    async def MakePlan(self, request: controller_pb2.PlanRequest, _: Caller) -> controller_pb2.Plan:
        plan = await self.planner.plan(wire.request_of(_spec(request.spec)))
        await self.launch.keep(plan)
        return show.plan(plan)

    async def Run(self, request: controller_pb2.RunRequest, caller: Caller) -> controller_pb2.RunReply:
        key = request.idempotency_key or None
        asked = wire.request_of(_spec(request.spec)) if request.HasField("spec") else request.plan_hash
        with self.auditor.call(caller, "run", request.plan_hash) as entry:
            started = await self.launch.run(asked, str(caller), key, request.keepalive_ns)
            experiment = started.experiment
            entry.subject = experiment.id
            entry.hosts = sorted({row.host for row in experiment.rows})
            entry.result = "the run that had this key" if started.plan is None else experiment.state.name.lower()
        plan = show.plan(started.plan) if started.plan else None
        return controller_pb2.RunReply(experiment=self._shown(experiment), plan=plan)

    async def Watch(
        self, request: controller_pb2.ExperimentId, caller: Caller
    ) -> AsyncIterator[controller_pb2.Experiment]:
        experiment = await self._find(request.id)
        if self.runner.experiment(request.id) is None:
            yield self._shown(experiment)
            return
        async for state in self.runner.watch(request.id, renews=experiment.by == str(caller)):
            if self.gate.is_revoked(caller.fingerprint):
                raise Refused([Problem("caller", str(caller), "its certificate was revoked")], Reason.CALLER)
            yield self._shown(state)

    async def Renew(self, request: controller_pb2.ExperimentId, _: Caller) -> controller_pb2.RenewReply:
        await self._find(request.id)
        self.runner.renew(request.id)
        return controller_pb2.RenewReply()

    async def Show(self, request: controller_pb2.ExperimentId, _: Caller) -> controller_pb2.Experiment:
        return self._shown(await self._find(request.id))

    async def ListExperiments(
        self, request: controller_pb2.ListExperimentsRequest, _: Caller
    ) -> controller_pb2.Experiments:
        limit = request.limit or _LIST
        known = {each.id: each for each in self.runner.experiments if request.all or not each.is_over}
        if request.all:
            stored = await self.desk.read(partial(self.history.newest, limit))
            known = {each.id: each for each in stored} | known
        newest = sorted(known.values(), key=lambda each: each.created_at, reverse=True)[:limit]
        return controller_pb2.Experiments(experiments=map(self._shown, newest))

    async def _find(self, experiment_id: str) -> Experiment:
        experiment = self.runner.experiment(experiment_id)
        if experiment is None:
            experiment = await self.desk.read(partial(self.history.load, experiment_id))
        if experiment is None:
            remedy = "is no experiment; see `chaosctl list --all`"
            raise Refused([Problem("experiment", experiment_id, remedy)], Reason.MISSING)
        return experiment

    def _shown(self, experiment: Experiment) -> controller_pb2.Experiment:
        return show.experiment(experiment, self.fleet, self.now())

    # -- ending ----------------------------------------------------------------------------------------------------

    async def Abort(
        self, request: controller_pb2.AbortRequest, caller: Caller
    ) -> AsyncIterator[controller_pb2.AbortReport]:
        # An odd id must not keep anything running: agents would refuse it, so it gets another.
        abort_id = request.abort_id if _ID.fullmatch(request.abort_id) else str(uuid.uuid4())
        record = AbortRecord(abort_id, request.reason, str(caller), self.now())
        if request.all:
            account = self.aborts.everything(record)
        else:
            account = self.aborts.one(record, await self._find(request.experiment_id))
        self.tasks.spawn(self._audit_abort(account, request, caller), f"audit of abort {abort_id}")
        async for report in self.aborts.reports(account):
            yield show.report(abort_id, report)

    async def _audit_abort(self, account: Account, request: controller_pb2.AbortRequest, caller: Caller) -> None:
        """To the end, though the caller may have gone."""
        what = "abort all" if request.all else "abort"
        subject = account.record.id if request.all else request.experiment_id
        self.auditor.write(str(caller), caller.address, what, subject, (), f"ordered: {request.reason}".rstrip(": "))
        async for report in self.aborts.reports(account):
            if report.settled:
                hosts = sorted({receipt.host for receipt in report.receipts})
                result = abort.summary(account, report, self.now())
                self.auditor.write(str(caller), caller.address, f"{what}: account", subject, hosts, result)

    async def ShowFence(self, _: controller_pb2.FenceRequest, __: Caller) -> controller_pb2.Fence:
        return show.fence(self.fence)

    async def LiftFence(self, request: controller_pb2.LiftFenceRequest, caller: Caller) -> controller_pb2.Fence:
        up = [record.id for record in self.fence.up]
        ids = list(request.abort_ids) or up
        with self.auditor.call(caller, "fence lift", ", ".join(ids)):
            if unknown := [each for each in ids if each not in up]:
                problems = [Problem("abort_ids", each, "is not up; see `chaosctl fence show`") for each in unknown]
                raise Refused(problems, Reason.MISSING)
            await self.desk.write(partial(self._lift_in_store, ids))
            self.fence.lift(ids)
            await asyncio.gather(*(self._lift_on(session, ids) for session in self.fleet.sessions))
        return show.fence(self.fence)

    def _lift_in_store(self, ids: list[str]) -> None:
        # Raised ones may still be on their way there.
        for record in self.fence.up:
            self.records.raise_abort(record)
        self.records.lift_aborts(ids, self.now())

    async def _lift_on(self, session: Session, ids: list[str]) -> None:
        session.push()
        if session.client:
            try:
                await asyncio.wait_for(session.client.lift(ids), _LIFT_S)
            except (HostLostError, Refused, TimeoutError):
                session.give_up()  # it learns from the next hello

    # -- hosts -----------------------------------------------------------------------------------------------------

    async def ListHosts(self, request: controller_pb2.ListHostsRequest, _: Caller) -> controller_pb2.Hosts:
        records = [each for each in self.fleet.records() if request.retired or each.retired_at is None]
        candidates = [Candidate(each.name, each.id, each.labels) for each in records]
        chosen, objections = targets.matching(wire.selection_of(request.selection), candidates)
        if objections:
            raise refused(objections)
        names = {host.name for host in chosen}
        return controller_pb2.Hosts(
            hosts=await asyncio.gather(*(self._host(each) for each in records if each.name in names))
        )

    async def _host(self, record: HostRecord) -> controller_pb2.Host:
        session = self.fleet.session(record.name)
        if session:
            await session.wait_described(_DESCRIBE_S)
        return show.host(record, session, (row.injection_id for _, row in self.runner.rows_on(record.name)))

    async def LabelHost(self, request: controller_pb2.LabelHostRequest, caller: Caller) -> controller_pb2.Host:
        with self.auditor.call(caller, "label host", request.host, [request.host]):
            return await self._host(await self.office.label(request.host, request.set, request.remove))

    async def RetireHost(self, request: controller_pb2.RetireHostRequest, caller: Caller) -> controller_pb2.Host:
        with self.auditor.call(caller, "retire host", request.host, [request.host]) as entry:
            record = await self.office.retire(request.host, request.reason, str(caller))
            entry.result = f"retired: {request.reason}"
        return await self._host(record)

    async def AcceptHost(self, request: controller_pb2.AcceptHostRequest, caller: Caller) -> controller_pb2.Host:
        with self.auditor.call(caller, "accept host", request.host, [request.host]) as entry:
            accepted = await self.office.accept(request.host, request.reason, str(caller))
            entry.result = f"accepted {', '.join(accepted)}: {request.reason}"
            await self.saver.flush()
        return await self._host(self.office.host(request.host))

    # -- access ----------------------------------------------------------------------------------------------------

    async def CreateToken(self, request: controller_pb2.TokenRequest, caller: Caller) -> controller_pb2.TokenReply:
        full = document.with_defaults(request)
        role, expires_at = _role(full.role), self.now() + full.valid_ns
        with self.auditor.call(caller, f"create {role} token", full.name, [full.name] if role == "agent" else []):
            text = await self.office.create_token(role, full.name, full.labels, expires_at)
        return controller_pb2.TokenReply(token=text, expires_unix_ns=expires_at)

    async def Revoke(self, request: controller_pb2.RevokeRequest, caller: Caller) -> controller_pb2.RevokeReply:
        role = _role(request.role)
        with self.auditor.call(caller, f"revoke {role}", request.name) as entry:
            revoked = await self.office.revoke(role, request.name)
            entry.result = f"revoked {len(revoked)}"
        return controller_pb2.RevokeReply(revoked=revoked)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def GetStatus(self, _: controller_pb2.StatusRequest, caller: Caller) -> controller_pb2.Status:
        warnings = [self.saver.warning] if self.saver.warning else []
        budget = ""
        try:
            members = await self.planner.members()
            budget = blast_radius.sentence(self.policy, members)
            warnings += blast_radius.empty_caps(self.policy, members)
        except Refused as unreadable:
            warnings.append(str(unreadable))
        known = [each for each in self.fleet.records() if each.retired_at is None]
        return controller_pb2.Status(
            fleet=self.fleet_name,
            version=version("chaosctl"),
            term=self.term,
            fence=show.fence(self.fence),
            budget=budget,
            hosts=len(known),
            online=sum(self.fleet.is_online(each.name) for each in known),
            running=[self._shown(each) for each in self.runner.experiments if not each.is_over],
            warnings=[*warnings, *self._warnings_of_hosts()],
            you=caller.identity.uri,
        )

    def _warnings_of_hosts(self) -> list[str]:
        """Hosts that took themselves out, and what is not proved clean though its experiment is over."""
        out = [
            f"{each.name} takes nothing: {each.host_aborts[0].by}" for each in self.fleet.sessions if each.host_aborts
        ]
        over = [each for each in self.runner.experiments if each.is_over]
        open_rows = [(each, row) for each in over for row in each.rows if not row.is_free]
        return out + [f"{row.host}: not proved clean since experiment {each.id}" for each, row in open_rows]

    async def ReadAudit(self, request: controller_pb2.AuditRequest, _: Caller) -> controller_pb2.AuditLog:
        entries = await self.desk.read(partial(self.records.read_audit, request.limit or _LIST))
        return controller_pb2.AuditLog(entries=map(show.audit, entries))


def _spec(spec: controller_pb2.Spec) -> controller_pb2.Spec:
    if problems := document.check(spec, "spec"):
        raise Refused(problems)
    return spec


def _role(number: int) -> str:
    return catalogue.word_of(options_pb2.Role.DESCRIPTOR, number)
