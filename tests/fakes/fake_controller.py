"""The service Controller in this process, over real mTLS and behind the real gate; it has hosts, and does what a test
tells it: hang, die and come back, lose answers, refuse, have hosts that do not get clean.

    python -m tests.fakes.fake_controller FOLDER     runs one by hand; $CHAOSCTL_HOME is FOLDER/ada then
"""

import asyncio
import fnmatch
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc.aio
from chaos_protocol import document, serving
from chaos_protocol.identity import CONTROLLER, CONTROLLER_NAME, Credentials
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.serving import Caller
from chaos_protocol.v1 import agent_pb2, controller_pb2, options_pb2

from tests.fakes.fake_ca import FakeCa
from tests.fakes.fake_door import FakeDoor

T = TypeVar("T")
_PATIENCE_S = 20.0
_CLEAN = (controller_pb2.TARGET_STATE_CLEAN, controller_pb2.TARGET_STATE_NEVER_STARTED)
HOSTS = ("web1", "web2", "web3", "db1")


class FakeController:
    """Its state is the protocol's messages; every change wakes the watchers."""

    fleet = "lab"

    def __init__(self, folder: Path, hosts: tuple[str, ...] = HOSTS) -> None:
        self.folder = folder
        self.ca = FakeCa(self.fleet)
        self.door = FakeDoor(self.ca)
        self.hosts = {name: controller_pb2.Host(name=name, id=f"id-{name}", online=True) for name in hosts}
        self.experiments: dict[str, controller_pb2.Experiment] = {}
        self.plans: dict[str, controller_pb2.Plan] = {}
        self.aborts: dict[str, controller_pb2.AbortRequest] = {}
        self.fence = controller_pb2.Fence(up=False)
        self.audit: list[controller_pb2.AuditEntry] = []
        self.calls: list[tuple[str, Any]] = []
        # What a test can ask for.
        self.refusals: dict[str, Refused] = {}
        self.lost_answers: Counter[str] = Counter()
        self.hanging: set[str] = set()
        self.stuck_hosts: set[str] = set()
        self.silent_aborts = False
        self.port = 0
        self._version = 0
        self._keys: dict[str, str] = {}
        self._called = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def is_revoked(self, fingerprint: str) -> bool:
        return False

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)

    async def _start(self) -> None:
        self._changed = asyncio.Condition()
        keys = self.ca.issue(self.folder / "controller", CONTROLLER, CONTROLLER_NAME)
        self._server = grpc.aio.server(options=serving.OPTIONS)
        service = controller_pb2.DESCRIPTOR.services_by_name["Controller"]
        self._server.add_generic_rpc_handlers((serving.handlers(service, self, self),))
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", serving.server_credentials(keys))
        await self._server.start()
        self.door.api_address = self.address
        self._door = await self.door.start(Credentials.load(keys))

    def stop(self) -> None:
        """The controller dies: streams break, nobody answers."""
        self._do(self._stop())

    async def _stop(self) -> None:
        await self._server.stop(None)
        await self._door.stop(None)

    def start_again(self) -> None:
        """It is back, at the same address, with what it knew."""
        self._do(self._start())

    def login(self, name: str = "ada", role: str = "operator") -> Path:
        """A home folder for somebody who is logged in here."""
        home = self.ca.issue(self.folder / name, role, name)
        (home / "config.yaml").write_text(f"controller: {self.address}\n")
        return home

    # What tests do to the world, from their own thread.

    def change(self, act: Callable[[], object]) -> None:
        """Let `act` change the state, then wake the watchers."""

        async def changing() -> None:
            act()
            await self._wake()

        self._do(changing())

    async def _wake(self) -> None:
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    def finish(self, state: str = "COMPLETED", ended: str = "DURATION") -> None:
        """Every experiment runs to its end and every host is clean."""

        def end() -> None:
            for experiment in self.experiments.values():
                self._end(experiment, state, ended)

        self.change(end)

    def release(self, *hosts: str) -> None:
        """Hosts that were stuck get clean."""

        def free() -> None:
            self.stuck_hosts -= set(hosts)
            for experiment in self.experiments.values():
                self._end(experiment, "ABORTED", "OPERATOR")

        self.change(free)

    def wait_called(self, method: str, times: int = 1) -> None:
        """Until a method was called so often."""
        with self._called:
            assert self._called.wait_for(lambda: self.count(method) >= times, _PATIENCE_S), f"{method} was not called"

    def count(self, method: str) -> int:
        """How often a method was called."""
        return sum(name == method for name, _ in self.calls)

    def asked(self, method: str) -> list[Any]:
        """The requests that a method was called with."""
        return [request for name, request in self.calls if name == method]

    def _end(self, experiment: controller_pb2.Experiment, state: str, ended: str) -> None:
        for target in experiment.targets:
            if target.host in self.stuck_hosts:
                target.state = controller_pb2.TARGET_STATE_ENDING
            elif target.state not in _CLEAN:
                target.state = controller_pb2.TARGET_STATE_CLEAN
                target.ended = agent_pb2.Ended.Value(f"ENDED_{ended}")
                target.inert_unix_ns = target.clean_unix_ns = time.time_ns()
        if all(target.state in _CLEAN for target in experiment.targets):
            experiment.state = controller_pb2.ExperimentState.Value(f"EXPERIMENT_STATE_{state}")
            experiment.ended = agent_pb2.Ended.Value(f"ENDED_{ended}")
            experiment.left_ns = 0
        else:
            experiment.state = controller_pb2.EXPERIMENT_STATE_ENDING

    # The service.

    async def _admit(self, method: str, request: Any) -> None:
        with self._called:
            self.calls.append((method, request))
            self._called.notify_all()
        if method in self.hanging:
            await asyncio.Event().wait()
        if method in self.refusals:
            raise self.refusals[method]

    async def _answer(self, method: str, reply: T) -> T:
        """The work is done; a lost answer stays out until the connection breaks."""
        if self.lost_answers[method] > 0:
            self.lost_answers[method] -= 1
            await asyncio.Event().wait()
        return reply

    async def MakePlan(self, request: controller_pb2.PlanRequest, _: Caller) -> controller_pb2.Plan:
        await self._admit("MakePlan", request)
        return self._plan(request.spec)

    def _plan(self, spec: controller_pb2.Spec) -> controller_pb2.Plan:
        spec = document.with_defaults(spec)
        chosen = [name for name in self.hosts if any(fnmatch.fnmatch(name, glob) for glob in spec.selection.hosts)]
        plan = controller_pb2.Plan(hash=document.digest(spec), spec=spec, budget="cap 50% of 4 = 2; spent 0")
        plan.expires_unix_ns = time.time_ns() + 3600 * 10**9
        for name in self.hosts:
            if name in chosen:
                verdict = agent_pb2.Verdict(facts={"interface": "eth0"}, notes=["SSH stays untouched"])
                plan.targets.add(host=name, host_id=f"id-{name}", verdicts=[verdict])
            else:
                plan.spared.add(host=name, why=f"matches none of {', '.join(spec.selection.hosts)}")
        if not chosen:
            plan.reason = agent_pb2.REFUSED_INPUT
            plan.problems.add(culprit="selection.hosts", value=str(spec.selection.hosts), remedy="matches no host")
        self.plans[plan.hash] = plan
        return plan

    async def Run(self, request: controller_pb2.RunRequest, caller: Caller) -> controller_pb2.RunReply:
        await self._admit("Run", request)
        if request.plan_hash and request.plan_hash not in self.plans:
            raise Refused([Problem("plan", request.plan_hash, "no such plan")], agent_pb2.REFUSED_MISSING)
        plan = self.plans[request.plan_hash] if request.plan_hash else self._plan(request.spec)
        if plan.problems:
            raise Refused([Problem(p.culprit, p.value, p.remedy) for p in plan.problems], plan.reason)
        if request.idempotency_key not in self._keys:
            self._keys[request.idempotency_key] = self._began(plan, request, str(caller))
        experiment = self.experiments[self._keys[request.idempotency_key]]
        return await self._answer("Run", controller_pb2.RunReply(experiment=experiment, plan=plan))

    def _began(self, plan: controller_pb2.Plan, request: controller_pb2.RunRequest, by: str) -> str:
        number = len(self.experiments) + 1
        experiment = controller_pb2.Experiment(
            id=f"{number:08d}-aaaa-bbbb-cccc-0123456789ab",
            state=controller_pb2.EXPERIMENT_STATE_RUNNING,
            by=by,
            spec=plan.spec,
            plan_hash=plan.hash,
            left_ns=plan.spec.duration_ns,
            keepalive_ns=request.keepalive_ns,
            created_unix_ns=time.time_ns(),
        )
        for target in plan.targets:
            experiment.targets.add(
                host=target.host,
                injection_id=f"i-{target.host}",
                fault=plan.spec.faults[0],
                state=controller_pb2.TARGET_STATE_ACTIVE,
                reachable=True,
                observed={"delay_ns": 1e8, "matched_packets": 1204},
                active_unix_ns=time.time_ns(),
            )
        self.experiments[experiment.id] = experiment
        return experiment.id

    async def Watch(self, request: controller_pb2.ExperimentId, _: Caller) -> AsyncIterator[controller_pb2.Experiment]:
        await self._admit("Watch", request)
        experiment = self._known(request.id)
        async for __ in self._changes():
            over = experiment.state >= controller_pb2.EXPERIMENT_STATE_COMPLETED
            yield experiment
            if over:
                return

    async def _changes(self) -> AsyncIterator[None]:
        """Now, and after every change; none is missed while a message is on its way."""
        while True:
            seen = self._version
            yield
            async with self._changed:
                await self._changed.wait_for(lambda: self._version != seen)  # noqa: B023 - awaited at once

    async def Renew(self, request: controller_pb2.ExperimentId, _: Caller) -> controller_pb2.RenewReply:
        await self._admit("Renew", request)
        return controller_pb2.RenewReply()

    async def Show(self, request: controller_pb2.ExperimentId, _: Caller) -> controller_pb2.Experiment:
        await self._admit("Show", request)
        return self._known(request.id)

    def _known(self, identifier: str) -> controller_pb2.Experiment:
        if identifier not in self.experiments:
            raise Refused([Problem("experiment", identifier, "is not known here")], agent_pb2.REFUSED_MISSING)
        return self.experiments[identifier]

    async def ListExperiments(
        self, request: controller_pb2.ListExperimentsRequest, _: Caller
    ) -> controller_pb2.Experiments:
        await self._admit("ListExperiments", request)
        over = controller_pb2.EXPERIMENT_STATE_COMPLETED
        known = [one for one in self.experiments.values() if request.all or one.state < over]
        return controller_pb2.Experiments(experiments=known)

    async def Abort(self, request: controller_pb2.AbortRequest, _: Caller) -> AsyncIterator[controller_pb2.AbortReport]:
        await self._admit("Abort", request)
        concerned = [e for e in self.experiments.values() if request.all or e.id == request.experiment_id]
        if request.all:
            self.fence = controller_pb2.Fence(up=True)
            self.fence.orders.add(abort_id=request.abort_id, reason=request.reason, by="operator ada")
        self.aborts[request.abort_id] = request
        if not self.silent_aborts:
            for experiment in concerned:
                if experiment.state < controller_pb2.EXPERIMENT_STATE_COMPLETED:
                    self._end(experiment, "ABORTED", "OPERATOR")
            await self._wake()
        async for __ in self._changes():
            report = self._report(request, concerned)
            yield report
            if report.settled:
                return

    def _report(
        self, request: controller_pb2.AbortRequest, concerned: list[controller_pb2.Experiment]
    ) -> controller_pb2.AbortReport:
        report = controller_pb2.AbortReport(abort_id=request.abort_id, fence_up=self.fence.up)
        for experiment in concerned:
            for target in experiment.targets:
                clean = target.state in _CLEAN
                says = "clean, inert after 4 ms" if clean else "reverting"
                report.receipts.add(host=target.host, experiment_id=experiment.id, state=target.state, says=says)
        states = {receipt.state for receipt in report.receipts}
        report.settled = states <= {*_CLEAN, controller_pb2.TARGET_STATE_PRESUMED_CLEAN}
        return report

    async def ShowFence(self, request: controller_pb2.FenceRequest, _: Caller) -> controller_pb2.Fence:
        await self._admit("ShowFence", request)
        return self.fence

    async def LiftFence(self, request: controller_pb2.LiftFenceRequest, _: Caller) -> controller_pb2.Fence:
        await self._admit("LiftFence", request)
        kept = [order for order in self.fence.orders if request.abort_ids and order.abort_id not in request.abort_ids]
        self.fence = controller_pb2.Fence(up=bool(kept), orders=kept)
        return self.fence

    async def ListHosts(self, request: controller_pb2.ListHostsRequest, _: Caller) -> controller_pb2.Hosts:
        await self._admit("ListHosts", request)
        globs = request.selection.hosts or ["*"]
        chosen = [host for name, host in self.hosts.items() if any(fnmatch.fnmatch(name, glob) for glob in globs)]
        return controller_pb2.Hosts(hosts=chosen)

    async def LabelHost(self, request: controller_pb2.LabelHostRequest, _: Caller) -> controller_pb2.Host:
        await self._admit("LabelHost", request)
        host = self.hosts[request.host]
        host.labels.update(request.set)
        for key in request.remove:
            host.labels.pop(key, None)
        return host

    async def RetireHost(self, request: controller_pb2.RetireHostRequest, _: Caller) -> controller_pb2.Host:
        await self._admit("RetireHost", request)
        self.hosts[request.host].retired = True
        return self.hosts[request.host]

    async def AcceptHost(self, request: controller_pb2.AcceptHostRequest, _: Caller) -> controller_pb2.Host:
        await self._admit("AcceptHost", request)
        return self.hosts[request.host]

    async def CreateToken(self, request: controller_pb2.TokenRequest, _: Caller) -> controller_pb2.TokenReply:
        await self._admit("CreateToken", request)
        word = options_pb2.Role.Name(request.role).removeprefix("ROLE_").lower()
        ends = time.time_ns() + (request.valid_ns or 3600 * 10**9)
        return controller_pb2.TokenReply(token=f"chaos1.{word}-{request.name}", expires_unix_ns=ends)

    async def Revoke(self, request: controller_pb2.RevokeRequest, _: Caller) -> controller_pb2.RevokeReply:
        await self._admit("Revoke", request)
        return controller_pb2.RevokeReply(revoked=["ab" * 32])

    async def GetStatus(self, request: controller_pb2.StatusRequest, caller: Caller) -> controller_pb2.Status:
        await self._admit("GetStatus", request)
        running = [one for one in self.experiments.values() if one.state < controller_pb2.EXPERIMENT_STATE_COMPLETED]
        return controller_pb2.Status(
            fleet=self.fleet,
            version="0.1.0",
            term=1,
            fence=self.fence,
            budget="cap 50% of 4 = 2; spent 0",
            hosts=len(self.hosts),
            online=len(self.hosts),
            running=running,
            you=str(caller),
        )

    async def ReadAudit(self, request: controller_pb2.AuditRequest, _: Caller) -> controller_pb2.AuditLog:
        await self._admit("ReadAudit", request)
        return controller_pb2.AuditLog(entries=self.audit)


if __name__ == "__main__":
    with FakeController(Path(sys.argv[1])) as controller:
        print(f"CHAOSCTL_HOME={controller.login()}", flush=True)
        for line in sys.stdin:
            word, *hosts = line.split() or [""]
            if word == "stuck":
                controller.stuck_hosts |= set(hosts)
            elif word:
                getattr(controller, word)(*hosts)
