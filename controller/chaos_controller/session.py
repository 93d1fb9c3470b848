"""One host: a warm channel and its Hold stream, dialled again whenever it is silent for two ticks."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import grpc.aio
from chaos_protocol import calling
from chaos_protocol.identity import AGENT, Credentials, Identity
from chaos_protocol.problems import Refused
from chaos_protocol.v1 import agent_pb2

from chaos_controller import timing, wire
from chaos_controller.client import INJECT_S, Client, Described, Guard, HostLostError
from chaos_controller.events import Sampled
from chaos_controller.experiment import Report
from chaos_controller.fence import Fence
from chaos_controller.store.records import AbortRecord

log = logging.getLogger(__name__)
_DIAL_S = 3.0
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0)
GUARD_FRESH_NS = timing.GUARD_AGE_NS // 2


class Listener(Protocol):
    """Who is told what hosts say. No call may wait for anything."""

    def adopted(self, host: str) -> Sequence[str]:
        """Injections that the host shall keep."""

    def leases(self, host: str) -> list[int]:
        """Leases of what the host may hold now, in ns."""

    def connected(self, host: str, live: frozenset[str]) -> None:
        """A new stream; everything the host had to tell has been passed on."""

    def reported(self, host: str, report: Report, stored: Callable[[], None]) -> None:
        """The host's record of an injection; `stored` is to be called once it is on disk."""

    def sampled(self, sample: Sampled) -> None:
        """A measurement."""

    def aborts_heard(self, host: str, up: Sequence[AbortRecord], lifted: Sequence[str]) -> None:
        """Aborts that the host knows of."""

    def disconnected(self, host: str) -> None:
        """The stream is gone."""


@dataclass(frozen=True, slots=True)
class Post:
    """What every session needs to say who speaks: the controller's fleet, term and proofs."""

    fleet: str
    term: int
    fence: Fence
    credentials: Callable[[], Credentials]
    revoked: Callable[[], Sequence[str]]
    now: timing.Now
    spawn: Callable[[Coroutine[Any, Any, None], str], object]


class Session:
    """The link to one host. `run` never ends by itself."""

    def __init__(self, name: str, address: str, post: Post, listener: Listener) -> None:
        self.name = name
        self.address = address
        self.client: Client | None = None
        self.described = Described()
        self.host_aborts: tuple[AbortRecord, ...] = ()
        self.guard: Guard | None = None
        self.beat_at = 0
        self.last_heard: int | None = None
        self.offline_why = "not reached yet"
        self._post = post
        self._listener = listener
        self._downs: asyncio.Queue[agent_pb2.HoldDown] | None = None
        self._limit: asyncio.Timeout | None = None
        self._online = asyncio.Event()
        self._asked = asyncio.Event()
        self._seen_tick = 0

    @property
    def is_online(self) -> bool:
        return self._online.is_set()

    async def wait_online(self, seconds: float | None = None) -> bool:
        """Whether the host is (or comes) online within so long; without a limit, wait for it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._online.wait(), seconds)
        return self.is_online

    async def wait_described(self, seconds: float) -> None:
        """Until the agent has said what it is; it is asked once a connection, and may need its time to look."""
        if self.is_online:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), seconds)

    async def _describe(self, client: Client, asked: asyncio.Event) -> None:
        with contextlib.suppress(HostLostError, Refused):
            described = await client.describe()
            if client is self.client:
                self.described = described
        asked.set()

    async def run(self) -> None:
        """Keep the stream open."""
        failures = 0
        while True:
            try:
                await self._connect()
            except (HostLostError, Refused, TimeoutError) as error:
                self._offline(error)
            except Exception as error:
                log.exception("session with %s failed", self.name)
                self._offline(error)
            failures = 0 if self.is_online else failures + 1
            self._online.clear()
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])

    def fresh_guard(self) -> Guard | None:
        """The newest guard, if it is new enough to be still good when it arrives."""
        guard = self.guard
        return guard if guard and self._post.now() - guard.read_at < GUARD_FRESH_NS else None

    def give_up(self) -> None:
        """A call went unanswered: throw the channel away and dial anew."""
        if self._limit and self.is_online:
            self._limit.reschedule(asyncio.get_running_loop().time())

    def expect_ticks(self) -> None:
        """The host gets something to hold: from when it does it speaks more often.

        Until then a busy one may be silent for as long as its answer is waited for: to hang up would not help it.
        """
        if self._limit and self.is_online and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + max(self._silence_s(), INJECT_S))

    def push(self) -> None:
        """Send what is up, lifted and revoked now, without waiting for the next tick."""
        if self._downs:
            post = self._post
            beat = agent_pb2.Beat(
                seen_tick=self._seen_tick,
                aborts_up=map(wire.order_of, post.fence.up),
                aborts_lifted=post.fence.lifted,
                revoked=post.revoked(),
            )
            self._downs.put_nowait(agent_pb2.HoldDown(beat=beat))

    async def _connect(self) -> None:
        post = self._post
        server = Identity(post.fleet, AGENT, self.name)
        async with calling.channel(self.address, post.credentials(), server) as channel:
            async with asyncio.timeout(_DIAL_S):
                await _ready(channel)
            client = Client(channel, post.fleet, post.now)
            downs: asyncio.Queue[agent_pb2.HoldDown] = asyncio.Queue()
            self._downs = downs
            self.described = Described()
            downs.put_nowait(agent_pb2.HoldDown(hello=self._hello()))
            try:
                await self._listen(client, downs)
            finally:
                self.client = self._downs = self._limit = self.guard = None

    async def _listen(self, client: Client, downs: asyncio.Queue[agent_pb2.HoldDown]) -> None:
        async with asyncio.timeout(_DIAL_S) as self._limit:
            async for message in client.hold(_drained(downs)):
                self._heard(client, message)
                self._limit.reschedule(asyncio.get_running_loop().time() + self._silence_s())

    def _silence_s(self) -> float:
        interval = timing.tick_interval(self._listener.leases(self.name))
        return timing.silence_allowed(interval) / timing.SECOND

    def _hello(self) -> agent_pb2.Hello:
        post = self._post
        return agent_pb2.Hello(
            fleet=post.fleet,
            term=post.term,
            retired_terms=range(max(1, post.term - 1000), post.term),
            aborts_up=map(wire.order_of, post.fence.up),
            aborts_lifted=post.fence.lifted,
            adopt_ids=self._listener.adopted(self.name),
            revoked=post.revoked(),
        )

    def _heard(self, client: Client, message: agent_pb2.HoldUp) -> None:
        self.last_heard = self._post.now()
        match message.WhichOneof("what"):
            case "welcome":
                self._welcomed(client, message.welcome)
            case "tick":
                self._ticked(client, message.tick)
            case "event":
                self._told(client, message.event)
            case "sample":
                self._listener.sampled(wire.sample_of(message.sample))
            case _:
                pass  # a newer agent may say more than we understand

    def _welcomed(self, client: Client, welcome: agent_pb2.Welcome) -> None:
        self._take_tick(client, welcome.tick, welcome.generation)
        self.client = client
        self._online.set()
        self._asked = asyncio.Event()
        self._post.spawn(self._describe(client, self._asked), f"describe {self.name}")
        log.info("%s is online", self.name)
        self._aborts(welcome.aborts_up, welcome.aborts_lifted)
        for event in welcome.unacknowledged:
            self._told(client, event)
        for injection in welcome.live:
            self._listener.reported(self.name, wire.report_of(injection, client.clock), _nothing)
        self._listener.connected(self.name, frozenset(injection.id for injection in welcome.live))

    def _ticked(self, client: Client, tick: agent_pb2.Tick) -> None:
        self._take_tick(client, tick.tick, tick.generation)
        if self._downs:
            self._downs.put_nowait(agent_pb2.HoldDown(beat=agent_pb2.Beat(seen_tick=tick.tick)))
        self.beat_at = self._post.now()
        self._aborts(tick.aborts_up, tick.aborts_lifted)

    def _take_tick(self, client: Client, tick: int, generation: int) -> None:
        client.heard(tick)
        self._seen_tick = tick
        self.guard = Guard(generation, tick, self._post.now())

    def _told(self, client: Client, event: agent_pb2.Event) -> None:
        downs, sequence = self._downs, event.seq

        def stored() -> None:
            # Only on the stream that told it: numbers begin anew with each.
            if downs is not None and downs is self._downs:
                downs.put_nowait(agent_pb2.HoldDown(ack=agent_pb2.Ack(seq=sequence)))

        self._listener.reported(self.name, wire.report_of(event.injection, client.clock), stored)

    def _aborts(self, up: Sequence[agent_pb2.AbortOrder], lifted: Sequence[str]) -> None:
        now = self._post.now()
        self.host_aborts = tuple(wire.abort_of(order, now) for order in up if order.host_only)
        fleet_wide = [wire.abort_of(order, now) for order in up if not order.host_only]
        self._listener.aborts_heard(self.name, fleet_wide, lifted)

    def _offline(self, error: Exception) -> None:
        why = str(error) or "no answer in time"
        if why != self.offline_why:
            log.warning("%s is offline: %s", self.name, why)
        self.offline_why = why
        if self.is_online:
            self._listener.disconnected(self.name)


def _nothing() -> None:
    pass


async def _ready(channel: grpc.aio.Channel) -> None:
    """Wait until the channel is up; a refused connection is an answer, not to be waited for."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise HostLostError("can't be connected to")
        await channel.wait_for_state_change(state)
        state = channel.get_state()


async def _drained(queue: asyncio.Queue[agent_pb2.HoldDown]) -> AsyncIterator[agent_pb2.HoldDown]:
    while True:
        yield await queue.get()
