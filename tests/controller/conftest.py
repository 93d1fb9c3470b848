"""A whole controller in this process, its hosts played by fake agents over real mTLS."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
from chaos_controller import daemon, setup
from chaos_controller.config import Config
from chaos_controller.daemon import Daemon
from chaos_controller.store import tables
from chaos_controller.store.database import Database
from chaos_protocol import calling, document, serving
from chaos_protocol.identity import CONTROLLER, CONTROLLER_NAME, Credentials, Identity
from chaos_protocol.problems import Refused
from chaos_protocol.v1 import controller_pb2, controller_pb2_grpc
from sqlalchemy import insert

from tests.fakes.fake_agent import FakeAgent
from tests.fakes.fake_ca import FakeCa

T = TypeVar("T")
PATIENCE_S = 15
FLEET = {"web1": {"role": "web"}, "web2": {"role": "web"}, "web3": {"role": "web"}, "db1": {"role": "db"}}
Story = Callable[..., Coroutine[Any, Any, None]]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tests that are coroutines run in a loop of their own."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@dataclass
class Caller:
    """Somebody with a certificate; refusals come as `Refused`."""

    stub: Any

    async def call(self, method: str, request: Any) -> Any:
        """One answer."""
        try:
            return await getattr(self.stub, method)(request, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            raise calling.refusal(error) or error from None

    async def stream(self, method: str, request: Any) -> AsyncIterator[Any]:
        """Answers as they come."""
        try:
            async for message in getattr(self.stub, method)(request, timeout=PATIENCE_S):
                yield message
        except grpc.RpcError as error:
            raise calling.refusal(error) or error from None

    async def run(self, *hosts: str, **asked: Any) -> controller_pb2.Experiment:
        """Run latency on these hosts."""
        keepalive_ns, key = asked.pop("keepalive_ns", 0), asked.pop("key", "")
        request = controller_pb2.RunRequest(spec=spec(*hosts, **asked), keepalive_ns=keepalive_ns)
        if key:
            request.idempotency_key = key
        reply = await self.call("Run", request)
        return reply.experiment  # type: ignore[no-any-return]

    async def until(self, experiment_id: str, condition: Callable[[Any], object]) -> Any:
        """The first state that meets the condition; other people's watching keeps nothing alive."""
        async with asyncio.timeout(PATIENCE_S):
            async for state in self.stream("Watch", controller_pb2.ExperimentId(id=experiment_id)):
                if condition(state):
                    return state
        raise AssertionError(f"the watch ended before that: {state}")

    async def active(self, *hosts: str, **asked: Any) -> Any:
        """Run latency and wait until every target is active."""
        experiment = await self.run(*hosts, **asked)
        return await self.until(experiment.id, lambda state: states(state) == {controller_pb2.TARGET_STATE_ACTIVE})

    async def over(self, experiment_id: str) -> Any:
        """The last state of an experiment."""
        return await self.until(experiment_id, lambda state: state.state >= controller_pb2.EXPERIMENT_STATE_COMPLETED)

    async def abort(self, **request: Any) -> Any:
        """The last report of an abort."""
        async for report in self.stream("Abort", controller_pb2.AbortRequest(**request)):
            last = report
        return last

    async def refused(self, method: str, request: Any) -> Refused:
        """How the call is refused."""
        with pytest.raises(Refused) as caught:
            await self.call(method, request)
        return caught.value


def spec(*hosts: str, **asked: Any) -> controller_pb2.Spec:
    """Latency of 100 ms on these hosts; selection and spec take the rest as people write it."""
    selection = {"hosts": list(hosts)} | asked.pop("selection", {})
    fault = {"latency": {"delay": "100ms"}}
    wanted = {"faults": [fault], "selection": selection, "lease": "2s", "duration": "30s"} | asked
    return document.read(controller_pb2.Spec, wanted)


def states(experiment: controller_pb2.Experiment) -> set[int]:
    """The states of its targets."""
    return {target.state for target in experiment.targets}


def state_of(experiment: controller_pb2.Experiment, host: str) -> str:
    """The state of the target on this host, as a word."""
    number = next(target.state for target in experiment.targets if target.host == host)
    return controller_pb2.TargetState.Name(number).removeprefix("TARGET_STATE_")


@dataclass
class Lab:
    """A state folder with a CA, and hosts that are enrolled in it."""

    config: Config
    ca: FakeCa
    agents: dict[str, FakeAgent] = field(default_factory=dict)
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def daemon(self) -> Daemon:
        return self.daemons[-1]

    def enrol(self, database: Database, agent: FakeAgent, labels: dict[str, str]) -> None:
        """Into the store directly; enrolment has tests of its own."""
        values = {"name": agent.name, "id": f"id-{agent.name}", "labels": labels, "address": agent.address}
        with database.write() as connection:
            fresh = {"machine_id": agent.name, "enrolled_at": time.time_ns(), "note": ""}
            connection.execute(insert(tables.hosts).values(values | fresh))

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Daemon]:
        """A controller on the lab's folder; leaving the block stops it as SIGTERM does."""
        running = daemon.prepare(self.config)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.run())
            started = group.create_task(running.started.wait())
            await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
            self.daemons.append(running)
            try:
                yield running
            finally:
                running.stop()

    @asynccontextmanager
    async def caller(self, role: str = "operator", name: str = "ada") -> AsyncIterator[Caller]:
        """Somebody who is logged in here."""
        folder = self.config.state.parent / f"{role}-{name}"
        if not folder.exists():
            self.ca.issue(folder, role, name)
        server = Identity(self.config.fleet, CONTROLLER, CONTROLLER_NAME)
        address = f"127.0.0.1:{self.daemon.api_port}"
        async with calling.channel(address, Credentials.load(folder), server) as channel:
            yield Caller(controller_pb2_grpc.ControllerStub(channel))

    def know_certificate(self, role: str, name: str) -> None:
        """Write down a certificate of the fake CA, as enrolment does with those of the real one."""
        folder = self.ca.issue(self.config.state.parent / f"{role}-{name}", role, name)
        fingerprint = serving.fingerprint_of((folder / "identity.crt").read_bytes())
        record = {"fingerprint": fingerprint, "role": role, "name": name, "expires_at": time.time_ns() + 10**15}
        database = Database(self.config.database_url)
        with database.write() as connection:
            connection.execute(insert(tables.certificates).values(record))
        database.close()

    async def stored(self) -> None:
        """Wait until everything that has happened is in the store."""
        assert self.daemon.parts
        await self.daemon.parts.saver.flush()

    async def online(self, *names: str) -> None:
        """Wait until these (or all) have said hello to the newest controller."""
        for name in names or self.agents:
            await self.agents[name].until(lambda agent: agent._streams)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The four hosts of the lab, not started yet."""
    authority = FakeCa("lab")
    config = Config(
        fleet="lab",
        advertise="localhost",
        state=tmp_path / "state",
        listen="127.0.0.1:0",
        enrol_listen="127.0.0.1:0",
    )
    setup.init(config)
    authority.issue(config.identity, CONTROLLER, CONTROLLER_NAME)
    agents = {name: FakeAgent(name, authority.issue(tmp_path / name, "agent", name)) for name in FLEET}
    return Lab(config, authority, agents)


@pytest.fixture
def running(lab: Lab) -> Callable[..., AbstractAsyncContextManager[Caller]]:
    """Agents, a controller and an operator: the whole thing."""

    @asynccontextmanager
    async def run(**limits: Any) -> AsyncIterator[Caller]:
        async with agents_of(lab), lab.controller(), lab.caller() as operator:
            await lab.online()
            yield operator

    return run


@asynccontextmanager
async def agents_of(lab: Lab) -> AsyncIterator[None]:
    """The lab's agents, enrolled and listening."""
    database = Database(lab.config.database_url)
    for agent in lab.agents.values():
        await agent.start()
        lab.enrol(database, agent, FLEET[agent.name])
    database.close()
    try:
        yield
    finally:
        for agent in lab.agents.values():
            await agent.close()
