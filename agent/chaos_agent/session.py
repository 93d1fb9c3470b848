"""One Hold stream with a controller: welcome, ticks, events and samples up; hello, beats and acknowledgements down."""

import asyncio
import itertools
from collections.abc import AsyncIterator

from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2

from chaos_agent import translate
from chaos_agent.host import clock
from chaos_agent.injector import Injector
from chaos_agent.records import Record

_IDLE_TICK_S = 30.0
_TICKS_A_LEASE = 5
_QUEUED = 1024
_NEVER_DROP = 256
"""Room that samples leave to events."""

_Up = agent_pb2.HoldUp


class Session:
    """The agent's end of a stream. The newest stream of a term wins."""

    def __init__(self, injector: Injector, term: int) -> None:
        self.term = term
        self._injector = injector
        self._queue: asyncio.Queue[_Up | None] = asyncio.Queue(_QUEUED)
        self._sequence = itertools.count(1)
        self._sent: dict[int, str] = {}
        self._told: dict[str, tuple[str, str, bool]] = {}
        self._due = asyncio.Event()

    def close(self) -> None:
        """Another stream took over, or the agent ends."""
        while self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def talk(self, hello: agent_pb2.Hello, requests: AsyncIterator[agent_pb2.HoldDown]) -> AsyncIterator[_Up]:
        """Everything that goes up, until the stream ends."""
        await self._greet(hello)
        yield self._welcome()
        unlisten = self._injector.listen(self._changed, self._due.set)
        # Not a TaskGroup: this is a generator, and grpc may close it from another task.
        tasks = [asyncio.get_running_loop().create_task(each) for each in (self._read(requests), self._tick())]
        try:
            while message := await self._queue.get():
                yield message
        finally:
            unlisten()
            for task in tasks:
                task.cancel()

    async def _greet(self, hello: agent_pb2.Hello) -> None:
        injector = self._injector
        if hello.fleet != injector.fleet:
            raise Refused([Problem("fleet", hello.fleet, f"this host belongs to {injector.fleet!r}")])
        if hello.term < injector.standing.term or hello.term in injector.standing.retired_terms:
            remedy = f"{injector.standing.term} is in charge"
            raise Refused([Problem("term", str(hello.term), remedy)], agent_pb2.REFUSED_STALE)
        await injector.merge(translate.orders(hello.aborts_up), hello.aborts_lifted, hello.revoked)
        await injector.take_up(hello.term, hello.retired_terms, list(hello.adopt_ids))

    def _welcome(self) -> _Up:
        standing = self._injector.standing
        live = self._injector.live
        self._told = {record.id: _gist(record) for record in live}
        owed = [record for record in self._injector.ended if record.outcome and not record.acknowledged]
        welcome = agent_pb2.Welcome(
            generation=standing.generation,
            boot_id=clock.boot_id(),
            machine_id=clock.machine_id(),
            tick=clock.tick_ns(),
            aborts_up=translate.orders_up(standing.up),
            aborts_lifted=sorted(standing.lifted),
            live=map(translate.injection, live),
            unacknowledged=[self._event(record) for record in owed],
        )
        return _Up(welcome=welcome)

    def _event(self, record: Record) -> agent_pb2.Event:
        sequence = next(self._sequence)
        if record.over:
            self._sent[sequence] = record.id
        return agent_pb2.Event(seq=sequence, injection=translate.injection(record))

    def _changed(self, record: Record) -> None:
        if self._told.get(record.id) != _gist(record):
            self._told[record.id] = _gist(record)
            self._offer(_Up(event=self._event(record)), 0)
            self._due.set()
        elif not record.over:
            sample = agent_pb2.Sample(
                injection_id=record.id,
                tick=clock.tick_ns(),
                observed=record.observed,
                drift=record.drift,
                unproven=record.unproven,
            )
            self._offer(_Up(sample=sample), _NEVER_DROP)

    def _offer(self, message: _Up, keep_free: int) -> None:
        """Queue a message. A reader so slow that events fill the queue is cut off: the next stream tells them again."""
        if self._queue.full():
            self.close()
        elif self._queue.qsize() + keep_free < _QUEUED:
            self._queue.put_nowait(message)

    async def _tick(self) -> None:
        while True:
            standing = self._injector.standing
            tick = agent_pb2.Tick(
                tick=clock.tick_ns(),
                generation=standing.generation,
                aborts_up=translate.orders_up(standing.up),
                aborts_lifted=sorted(standing.lifted),
            )
            self._offer(_Up(tick=tick), 0)
            self._due.clear()
            leases = [record.lease_ns / 10**9 / _TICKS_A_LEASE for record in self._injector.live]
            try:
                await asyncio.wait_for(self._due.wait(), min([_IDLE_TICK_S, *leases]))
            except TimeoutError:
                continue

    async def _read(self, requests: AsyncIterator[agent_pb2.HoldDown]) -> None:
        try:
            async for message in requests:
                await self._obey(message)
        finally:
            self.close()

    async def _obey(self, message: agent_pb2.HoldDown) -> None:
        if message.HasField("beat"):
            beat = message.beat
            self._injector.renew(beat.seen_tick)
            await self._injector.merge(translate.orders(beat.aborts_up), beat.aborts_lifted, beat.revoked)
        elif message.HasField("ack") and message.ack.seq in self._sent:
            await self._injector.acknowledge(self._sent.pop(message.ack.seq))


def _gist(record: Record) -> tuple[str, str, bool]:
    return record.state, record.outcome, bool(record.inert_tick)
