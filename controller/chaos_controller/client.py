"""One agent as the controller calls it: values in and out, gRPC's errors turned into two of ours.

`chaos_protocol.problems.Refused` is the agent's answer; `HostLostError` is the lack of one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
import grpc.aio
from chaos_protocol import refusals
from chaos_protocol.v1 import agent_pb2, agent_pb2_grpc

from chaos_controller import wire
from chaos_controller.experiment import Fault, Report, Request
from chaos_controller.plan import Verdict
from chaos_controller.states import Outcome
from chaos_controller.store.records import AbortRecord
from chaos_controller.timing import HostClock, Now

CHECK_S = 6
DESCRIBE_S = 20
INJECT_S = 5
ABORT_S = 3
REVERT_S = 8
T = TypeVar("T")


class HostLostError(Exception):
    """The host did not answer: whether it heard us is not known."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What an agent issued, to be shown to it again: a start is refused when it is not the newest."""

    generation: int
    tick: int
    read_at: int


@dataclass(frozen=True, slots=True)
class Described:
    """What an agent says of itself."""

    version: str = ""
    catalogue: str = ""
    wire: bytes = b""


class Client:
    """Calls to one agent over one channel; times are the controller's."""

    def __init__(self, channel: grpc.aio.Channel, fleet: str, now: Now) -> None:
        self._stub: agent_pb2_grpc.AgentAsyncStub = agent_pb2_grpc.AgentStub(channel)
        self._fleet = fleet
        self._now = now
        self._clock: HostClock | None = None

    def heard(self, tick: int) -> HostClock:
        """Take note of a tick that has just been read."""
        now = self._now()
        self._clock = self._clock.heard(tick, now) if self._clock else HostClock(now - tick)
        return self._clock

    @property
    def clock(self) -> HostClock:
        """How to read the host's ticks; before the first one, as if they were ours."""
        return self._clock or HostClock(0)

    async def describe(self) -> Described:
        """Version, kinds and law."""
        reply = await _answer(self._stub.Describe(agent_pb2.DescribeRequest(), timeout=DESCRIBE_S))
        return Described(reply.version, reply.catalogue, reply.SerializeToString())

    async def check(self, faults: Sequence[Fault], duration_ns: int) -> tuple[tuple[Verdict, ...], Guard]:
        """What the host would do, and a fresh guard."""
        request = agent_pb2.CheckRequest(
            fleet=self._fleet, faults=map(wire.fault_message, faults), duration_ns=duration_ns
        )
        reply = await _answer(self._stub.Check(request, timeout=CHECK_S))
        self.heard(reply.tick)
        return tuple(map(wire.verdict_of, reply.verdicts)), Guard(reply.generation, reply.tick, self._now())

    async def inject(self, injection_id: str, fault: Fault, asked: Request, term: int, guard: Guard) -> Report:
        """Start it, or have the present record of what was started under this id."""
        request = agent_pb2.InjectRequest(
            id=injection_id,
            digest=fault.digest,
            fault=wire.fault_message(fault),
            duration_ns=asked.duration_ns,
            lease_ns=asked.lease_ns,
            guard=agent_pb2.Guard(fleet=self._fleet, term=term, generation=guard.generation, tick=guard.tick),
        )
        reply = await _answer(self._stub.Inject(request, timeout=INJECT_S))
        return wire.report_of(reply.injection, self.clock)

    async def revert(self, injection_id: str) -> tuple[Outcome, Report | None]:
        """Undo it; the record is missing when the host never knew it."""
        reply = await _answer(self._stub.Revert(agent_pb2.RevertRequest(id=injection_id), timeout=REVERT_S))
        clock = self.heard(reply.tick)
        report = wire.report_of(reply.injection, clock, reply.outcome) if reply.HasField("injection") else None
        return wire.known(Outcome, reply.outcome), report

    async def abort(self, order: AbortRecord, injection_ids: Sequence[str] = ()) -> list[Report]:
        """Make these inert now; without ids everything, and nothing starts there until the order is lifted."""
        request = agent_pb2.AgentAbortRequest(order=wire.order_of(order), injection_ids=injection_ids)
        reply = await _answer(self._stub.Abort(request, timeout=ABORT_S))
        clock = self.heard(reply.tick)
        return [wire.report_of(injection, clock) for injection in reply.injections]

    async def lift(self, abort_ids: Sequence[str]) -> None:
        """Lift these aborts."""
        await _answer(self._stub.Lift(agent_pb2.LiftRequest(abort_ids=abort_ids), timeout=ABORT_S))

    async def hold(self, downs: AsyncIterator[agent_pb2.HoldDown]) -> AsyncIterator[agent_pb2.HoldUp]:
        """The stream; raises `HostLostError` when it breaks, whoever broke it."""
        call = self._stub.Hold(downs)
        try:
            async for message in call:
                yield message
        except grpc.RpcError as error:
            raise refusals.unpack(error) or HostLostError(_why(error)) from None
        except asyncio.CancelledError:
            _unless_ours()
        finally:
            call.cancel()
        raise HostLostError("the host ended the stream")


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.RpcError as error:
        raise refusals.unpack(error) or HostLostError(_why(error)) from None
    except asyncio.CancelledError:
        _unless_ours()
        raise HostLostError("the connection was given up") from None


def _unless_ours() -> None:
    """gRPC reports a channel closed under a call as a cancellation, though nobody cancelled the task."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise asyncio.CancelledError


def _why(error: grpc.RpcError) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return "not within its time"
        return f"{error.code().name.lower().replace('_', ' ')}: {error.details()}"
    return str(error)
