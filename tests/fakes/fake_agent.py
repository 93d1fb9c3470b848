"""The service Agent in this process, over real mTLS and behind the real gate. It keeps the protocol's rules (guard,
tombstones, leases, deadlines, results until acknowledged), touches no host, and does what a test tells it: hang, lose
answers, refuse, fall silent, be cut off.
"""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
from chaos_protocol import catalogue, serving
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.serving import Caller
from chaos_protocol.v1 import agent_pb2

T = TypeVar("T")
SECOND = 10**9
_PATIENCE_S = 15.0


def tick_ns() -> int:
    """The fake host's clock; it has an origin of its own, as hosts do."""
    return time.monotonic_ns() + 12_345 * SECOND


class FakeAgent:
    """One host. Its memory survives `stop` and `start`, as a journal does."""

    def __init__(self, name: str, keys: Path, fleet: str = "lab") -> None:
        self.name = name
        self.fleet = fleet
        self.generation = 1
        self.term = 0
        self.retired_terms: set[int] = set()
        self.live: dict[str, agent_pb2.Injection] = {}
        self.ended: dict[str, agent_pb2.Injection] = {}
        self.unacknowledged: set[str] = set()
        self.tombstones: set[str] = set()
        self.aborts: dict[str, agent_pb2.AbortOrder] = {}
        self.lifted: set[str] = set()
        self.revoked: set[str] = set()
        self.missing: list[agent_pb2.Problem] = []
        # What a test can ask for.
        self.hanging: set[str] = set()
        self.lost_answers: Counter[str] = Counter()
        self.refusals: dict[str, Refused] = {}
        self.silent = False
        self.start_takes_s = 0.0
        self.sticky = False  # nothing can be undone here
        self.no_effect = False
        self.stale_starts = 0  # so many starts come with a guard that has just become stale
        # What a test can look at.
        self.calls: list[tuple[str, Any]] = []
        self.starts: Counter[str] = Counter()
        self.adopted: list[list[str]] = []
        self.port = 0
        self._keys = keys
        self._leases: dict[str, int] = {}
        self._streams: set[asyncio.Queue[agent_pb2.HoldUp | None]] = set()
        self._sequence = itertools.count(1)
        self._told: dict[int, str] = {}
        self._changed = asyncio.Condition()
        self._clock: asyncio.Task[None] | None = None

    # -- the test's side -------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def is_revoked(self, fingerprint: str) -> bool:
        return fingerprint in self.revoked

    async def start(self) -> None:
        """Listen; again after `stop` at the same port, with what it knew."""
        self._server = grpc.aio.server(options=serving.OPTIONS)
        service = agent_pb2.DESCRIPTOR.services_by_name["Agent"]
        self._server.add_generic_rpc_handlers((serving.handlers(service, self, self),))
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", serving.server_credentials(self._keys))
        await self._server.start()
        self._clock = asyncio.get_running_loop().create_task(self._keep_time())

    async def stop(self) -> None:
        """Nobody answers any more, and connections break; what is held is still held, until its lease ends."""
        await self._server.stop(None)

    async def close(self) -> None:
        """The test is over."""
        await self.stop()
        if self._clock:
            self._clock.cancel()

    async def until(self, condition: Callable[["FakeAgent"], object]) -> None:
        """Wait until something is so on this host."""
        async with asyncio.timeout(_PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    def count(self, method: str) -> int:
        """How often a method was called."""
        return sum(name == method for name, _ in self.calls)

    async def abort_directly(self, order: agent_pb2.AbortOrder) -> None:
        """Somebody aborts at the host itself."""
        await self._abort_all([order])
        await self.tick()

    def hold(self, injection_id: str) -> None:
        """Be under a fault that some controller started long ago."""
        self._begin(agent_pb2.InjectRequest(id=injection_id, duration_ns=60 * SECOND, lease_ns=60 * SECOND))

    def objection_to(self, request: agent_pb2.InjectRequest) -> Refused | None:
        """Why a start would be refused now."""
        try:
            self._object(request)
        except Refused as refused:
            return refused
        return None

    async def tick(self) -> None:
        """Send a tick now."""
        await self._tell(agent_pb2.HoldUp(tick=self._tick()))

    async def sample(self, injection_id: str, **observed: float) -> None:
        """Send a measurement."""
        sample = agent_pb2.Sample(injection_id=injection_id, tick=tick_ns(), observed=observed)
        await self._tell(agent_pb2.HoldUp(sample=sample))

    # -- the host --------------------------------------------------------------------------------------------------

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _tell(self, message: agent_pb2.HoldUp) -> None:
        for stream in self._streams:
            stream.put_nowait(message)
        await self._notify()

    async def _event(self, injection: agent_pb2.Injection) -> None:
        await self._tell(agent_pb2.HoldUp(event=self._numbered(injection)))

    def _numbered(self, injection: agent_pb2.Injection) -> agent_pb2.Event:
        sequence = next(self._sequence)
        self._told[sequence] = injection.id
        return agent_pb2.Event(seq=sequence, injection=injection)

    def _tick(self) -> agent_pb2.Tick:
        return agent_pb2.Tick(
            tick=tick_ns(),
            generation=self.generation,
            aborts_up=self.aborts.values(),
            aborts_lifted=sorted(self.lifted),
        )

    async def _keep_time(self) -> None:
        """Deadlines and leases, counted on the host."""
        while True:
            now = tick_ns()
            for injection in list(self.live.values()):
                if now >= injection.deadline_tick:
                    await self._end(injection, agent_pb2.ENDED_DURATION)
                elif now >= injection.lease_tick:
                    await self._end(injection, agent_pb2.ENDED_CONTROLLER_LOST)
            await asyncio.sleep(0.02)

    async def _end(self, injection: agent_pb2.Injection, why: int) -> agent_pb2.Injection:
        now, unix = tick_ns(), time.time_ns()
        injection.ended = injection.ended or agent_pb2.Ended.ValueType(why)
        injection.inert_tick, injection.inert_unix_ns = injection.inert_tick or now, injection.inert_unix_ns or unix
        if self.sticky:
            injection.state = agent_pb2.INJECTION_STATE_FAILED
            injection.outcome, injection.left = agent_pb2.OUTCOME_STILL_PRESENT, "qdisc 7000: on eth0"
        else:
            injection.state, injection.outcome = agent_pb2.INJECTION_STATE_REVERTED, agent_pb2.OUTCOME_REVERTED
            injection.clean_tick, injection.clean_unix_ns, injection.left = now, unix, ""
            self.live.pop(injection.id, None)
        if injection.id not in self.ended or not self.sticky:
            self.ended[injection.id] = injection
            self.unacknowledged.add(injection.id)
            await self._event(injection)
        return injection

    async def _abort_all(self, orders: Iterable[agent_pb2.AbortOrder]) -> list[agent_pb2.Injection]:
        new = [order for order in orders if order.abort_id not in self.aborts and order.abort_id not in self.lifted]
        if not new:
            return []
        self.aborts |= {order.abort_id: order for order in new}
        self.generation += 1
        ended = [await self._end(injection, agent_pb2.ENDED_OPERATOR) for injection in list(self.live.values())]
        await self._notify()
        return ended

    async def _lift(self, ids: Iterable[str]) -> None:
        for each in ids:
            self.lifted.add(each)
            self.aborts.pop(each, None)
        await self._notify()

    # -- the service -----------------------------------------------------------------------------------------------

    async def _admit(self, method: str, request: Any) -> None:
        self.calls.append((method, request))
        await self._notify()
        if method in self.hanging:
            await asyncio.Event().wait()
        if method in self.refusals:
            raise self.refusals[method]

    async def _answer(self, method: str, reply: T) -> T:
        """The work is done; a lost answer breaks the connection instead."""
        await self._notify()
        if self.lost_answers[method] > 0:
            self.lost_answers[method] -= 1
            raise grpc.aio.AbortError("the answer is lost")
        return reply

    async def Describe(self, request: agent_pb2.DescribeRequest, _: Caller) -> agent_pb2.Description:
        await self._admit("Describe", request)
        kinds = [agent_pb2.KindStatus(kind=kind) for kind in catalogue.kinds()]
        return agent_pb2.Description(name=self.name, fleet=self.fleet, version="0.1.0", kinds=kinds)

    async def Check(self, request: agent_pb2.CheckRequest, _: Caller) -> agent_pb2.CheckReply:
        await self._admit("Check", request)
        verdict = agent_pb2.Verdict(facts={"interface": "eth0"}, problems=self.missing)
        if self.missing:
            verdict.reason = agent_pb2.REFUSED_HOST
        verdicts = [verdict] * len(request.faults)
        return agent_pb2.CheckReply(verdicts=verdicts, generation=self.generation, tick=tick_ns())

    async def Inject(self, request: agent_pb2.InjectRequest, _: Caller) -> agent_pb2.InjectReply:
        await self._admit("Inject", request)
        await asyncio.sleep(self.start_takes_s)
        known = self.live.get(request.id) or self.ended.get(request.id)
        if known is None:
            self._object(request)
            known = self._begin(request)
        if self.no_effect:
            await self._end(known, agent_pb2.ENDED_NO_EFFECT)
        return await self._answer("Inject", agent_pb2.InjectReply(injection=known))

    def _object(self, request: agent_pb2.InjectRequest) -> None:
        if self.stale_starts:
            self.stale_starts -= 1
            self.generation += 1
        guard = request.guard
        if self.aborts:
            raise Refused([Problem("fence", "", "an abort is up")], agent_pb2.REFUSED_FENCE)
        if request.id in self.tombstones:
            raise Refused([Problem("id", request.id, "has ended")], agent_pb2.REFUSED_STALE)
        stale = guard.fleet != self.fleet or guard.term in self.retired_terms or guard.generation != self.generation
        if stale or guard.tick > tick_ns() or tick_ns() - guard.tick > 5 * SECOND:
            raise Refused([Problem("guard", str(guard.generation), "is stale")], agent_pb2.REFUSED_STALE)

    def _begin(self, request: agent_pb2.InjectRequest) -> agent_pb2.Injection:
        now = tick_ns()
        self.starts[request.id] += 1
        self._leases[request.id] = request.lease_ns
        self.live[request.id] = agent_pb2.Injection(
            id=request.id,
            digest=request.digest,
            fault=request.fault,
            state=agent_pb2.INJECTION_STATE_ACTIVE,
            accepted_tick=now,
            active_tick=now,
            deadline_tick=now + request.duration_ns,
            lease_tick=now + request.lease_ns,
            active_unix_ns=time.time_ns(),
            observed={"delay_ns": 1e8},
            facts={"interface": "eth0"},
        )
        return self.live[request.id]

    async def Revert(self, request: agent_pb2.RevertRequest, _: Caller) -> agent_pb2.RevertReply:
        await self._admit("Revert", request)
        if injection := self.live.get(request.id):
            await self._end(injection, agent_pb2.ENDED_OPERATOR)
            reply = agent_pb2.RevertReply(outcome=injection.outcome, injection=injection, tick=tick_ns())
        elif injection := self.ended.get(request.id):
            reply = agent_pb2.RevertReply(outcome=agent_pb2.OUTCOME_ALREADY_CLEAN, injection=injection, tick=tick_ns())
        else:
            self.tombstones.add(request.id)
            reply = agent_pb2.RevertReply(outcome=agent_pb2.OUTCOME_NO_TRACE, tick=tick_ns())
        return await self._answer("Revert", reply)

    async def Abort(self, request: agent_pb2.AgentAbortRequest, _: Caller) -> agent_pb2.AgentAbortReply:
        await self._admit("Abort", request)
        if request.injection_ids:
            self.tombstones |= {each for each in request.injection_ids if each not in self.live}
            named = [self.live[each] for each in request.injection_ids if each in self.live]
            ended = [await self._end(injection, agent_pb2.ENDED_OPERATOR) for injection in named]
        else:
            ended = await self._abort_all([request.order])
        reply = agent_pb2.AgentAbortReply(injections=ended, generation=self.generation, tick=tick_ns())
        return await self._answer("Abort", reply)

    async def Lift(self, request: agent_pb2.LiftRequest, _: Caller) -> agent_pb2.LiftReply:
        await self._admit("Lift", request)
        await self._lift(request.abort_ids)
        return agent_pb2.LiftReply(up=self.aborts.values(), generation=self.generation)

    async def List(self, request: agent_pb2.ListRequest, _: Caller) -> agent_pb2.ListReply:
        await self._admit("List", request)
        return agent_pb2.ListReply(injections=self.live.values(), generation=self.generation, tick=tick_ns())

    async def Hold(self, requests: AsyncIterator[agent_pb2.HoldDown], _: Caller) -> AsyncIterator[agent_pb2.HoldUp]:
        first = await anext(aiter(requests))
        await self._admit("Hold", first.hello)
        await self._greet(first.hello)
        stream: asyncio.Queue[agent_pb2.HoldUp | None] = asyncio.Queue()
        self._streams.add(stream)
        yield self._welcome()
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(work) for work in (self._read(requests, stream), self._ticking(stream))]
        try:
            while message := await stream.get():
                if not self.silent:
                    yield message
        finally:
            self._streams.discard(stream)
            for task in tasks:
                task.cancel()

    async def _greet(self, hello: agent_pb2.Hello) -> None:
        if hello.term > self.term:
            self.retired_terms |= {*hello.retired_terms, *range(self.term, hello.term)}
            self.term = hello.term
            self.adopted.append(list(hello.adopt_ids))
            for injection in [each for each in self.live.values() if each.id not in hello.adopt_ids]:
                await self._end(injection, agent_pb2.ENDED_CONTROLLER_LOST)
        await self._merge(hello.aborts_up, hello.aborts_lifted, hello.revoked)

    async def _merge(self, up: Iterable[agent_pb2.AbortOrder], lifted: Iterable[str], revoked: Iterable[str]) -> None:
        self.revoked |= set(revoked)
        await self._lift(lifted)
        await self._abort_all(up)

    def _welcome(self) -> agent_pb2.HoldUp:
        welcome = agent_pb2.Welcome(
            generation=self.generation,
            boot_id="boot",
            machine_id=self.name,
            tick=tick_ns(),
            aborts_up=self.aborts.values(),
            aborts_lifted=sorted(self.lifted),
            live=self.live.values(),
            unacknowledged=[self._numbered(self.ended[each]) for each in sorted(self.unacknowledged)],
        )
        return agent_pb2.HoldUp(welcome=welcome)

    async def _ticking(self, stream: asyncio.Queue[agent_pb2.HoldUp | None]) -> None:
        while True:
            stream.put_nowait(agent_pb2.HoldUp(tick=self._tick()))
            leases = [self._leases[each] / SECOND / 5 for each in self.live]
            async with self._changed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), min([30.0, *leases]))

    async def _read(
        self, requests: AsyncIterator[agent_pb2.HoldDown], stream: asyncio.Queue[agent_pb2.HoldUp | None]
    ) -> None:
        async for message in requests:
            if message.HasField("beat"):
                await self._beat(message.beat)
            elif message.HasField("ack"):
                self.unacknowledged.discard(self._told.get(message.ack.seq, ""))
                await self._notify()
        stream.put_nowait(None)

    async def _beat(self, beat: agent_pb2.Beat) -> None:
        for injection in self.live.values():
            lease_tick = max(injection.lease_tick, beat.seen_tick + self._leases[injection.id])
            if tick_ns() < injection.lease_tick:
                injection.lease_tick = lease_tick
        await self._merge(beat.aborts_up, beat.aborts_lifted, beat.revoked)
