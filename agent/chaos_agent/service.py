"""The agent on the wire: translate, call the injector, translate."""

import asyncio
import re
from collections.abc import AsyncIterator

from chaos_protocol import VERSION, catalogue, identity
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.serving import Caller
from chaos_protocol.v1 import agent_pb2

from chaos_agent import kinds, translate
from chaos_agent.admission import Denied
from chaos_agent.host import clock
from chaos_agent.injector import Injector
from chaos_agent.session import Session

PROTOCOL = 1
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SPEAK_FOR_OTHERS = (identity.CONTROLLER, identity.LOCAL)
"""A controller passes on who ordered an abort; anybody else speaks in their own name."""


class Service:
    """Service `chaos.v1.Agent`. The gate has already checked who calls and what the descriptors forbid."""

    def __init__(self, name: str, injector: Injector) -> None:
        self._name = name
        self._injector = injector
        self._session: Session | None = None

    @property
    def fleet(self) -> str:
        return self._injector.fleet

    def is_revoked(self, fingerprint: str) -> bool:
        return fingerprint in self._injector.standing.revoked

    def close(self) -> None:
        """The agent ends: its controller is told so by the end of the stream."""
        if self._session:
            self._session.close()

    async def Describe(self, _: agent_pb2.DescribeRequest, __: Caller) -> agent_pb2.Description:
        missing = await asyncio.gather(*(asyncio.to_thread(kinds.load(kind).missing) for kind in kinds.names()))
        status = [
            agent_pb2.KindStatus(kind=kind, missing=map(translate.problem, problems))
            for kind, problems in zip(kinds.names(), missing, strict=True)
        ]
        return agent_pb2.Description(
            name=self._name,
            fleet=self.fleet,
            version=VERSION,
            protocol=PROTOCOL,
            catalogue=catalogue.catalogue_hash(),
            kinds=status,
            law=self._injector.law.describe(),
            machine_id=clock.machine_id(),
            boot_id=clock.boot_id(),
            generation=self._injector.standing.generation,
            tick=clock.tick_ns(),
            aborts_up=translate.orders_up(self._injector.standing.up),
        )

    async def Check(self, request: agent_pb2.CheckRequest, _: Caller) -> agent_pb2.CheckReply:
        if request.fleet != self.fleet:
            raise Refused([Problem("fleet", request.fleet, f"this host belongs to {self.fleet!r}")])
        verdicts = []
        for fault in request.faults:
            verdict, denied = await self._injector.check(*translate.fault(fault), request.duration_ns)
            message = agent_pb2.Verdict(
                problems=map(translate.problem, verdict.problems), notes=verdict.notes, facts=verdict.facts
            )
            if denied:
                message.reason = translate.reason_of(denied)
            verdicts.append(message)
        generation = self._injector.standing.generation
        return agent_pb2.CheckReply(verdicts=verdicts, generation=generation, tick=clock.tick_ns())

    async def Inject(self, request: agent_pb2.InjectRequest, _: Caller) -> agent_pb2.InjectReply:
        _require_uuid(request.id)
        if not request.digest:
            raise Refused([Problem("digest", "", "is required: by it a call made again is told from another one")])
        try:
            record = await self._injector.start(translate.start(request))
        except Denied as denied:
            raise translate.refused(denied) from None
        return agent_pb2.InjectReply(injection=translate.injection(record))

    async def Revert(self, request: agent_pb2.RevertRequest, _: Caller) -> agent_pb2.RevertReply:
        _require_id(request.id)
        outcome, record = await self._injector.revert(request.id)
        reply = agent_pb2.RevertReply(outcome=translate.outcome(outcome), tick=clock.tick_ns())
        if record:
            reply.injection.CopyFrom(translate.injection(record))
        return reply

    async def Abort(self, request: agent_pb2.AgentAbortRequest, caller: Caller) -> agent_pb2.AgentAbortReply:
        for injection_id in request.injection_ids:
            _require_id(injection_id)
        order = request.order
        if not request.injection_ids:
            _require_id(order.abort_id)
        if caller.identity.role not in _SPEAK_FOR_OTHERS or not order.by:
            order.by = str(caller)
        records = await self._injector.abort(translate.orders([order]), list(request.injection_ids))
        return agent_pb2.AgentAbortReply(
            injections=map(translate.injection, records),
            generation=self._injector.standing.generation,
            tick=clock.tick_ns(),
        )

    async def Lift(self, request: agent_pb2.LiftRequest, caller: Caller) -> agent_pb2.LiftReply:
        ids = set(request.abort_ids)
        if caller.identity.role != identity.CONTROLLER:
            # Lifted ids are kept for good and told with every tick: only a controller knows of aborts unheard of here.
            ids &= {order.id for order in self._injector.standing.up}
        await self._injector.lift(ids)
        standing = self._injector.standing
        return agent_pb2.LiftReply(up=translate.orders_up(standing.up), generation=standing.generation)

    async def List(self, request: agent_pb2.ListRequest, _: Caller) -> agent_pb2.ListReply:
        records = [*(self._injector.ended if request.history else ()), *self._injector.live]
        return agent_pb2.ListReply(
            injections=map(translate.injection, records),
            aborts_up=translate.orders_up(self._injector.standing.up),
            generation=self._injector.standing.generation,
            tick=clock.tick_ns(),
        )

    async def Hold(self, requests: AsyncIterator[agent_pb2.HoldDown], _: Caller) -> AsyncIterator[agent_pb2.HoldUp]:
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("hello"):
            raise Refused([Problem("hold", "", "must begin with hello")])
        session = Session(self._injector, first.hello.term)
        older, self._session = self._session, session
        if older:
            if older.term > session.term:
                self._session = older
                raise Refused(
                    [Problem("term", str(session.term), f"{older.term} is in charge")], agent_pb2.REFUSED_STALE
                )
            older.close()
        async for message in session.talk(first.hello, requests):
            yield message


def _require_uuid(text: str) -> None:
    """What starts bears its id in the kernel as well, and there are 16 bytes for it."""
    if not _UUID.fullmatch(text):
        raise Refused([Problem("id", ascii(text), "must be a UUID in lower case")])


def _require_id(text: str) -> None:
    """Ids become names of files."""
    if not text or len(text) > 64 or not all(each.isascii() and (each.isalnum() or each == "-") for each in text):
        raise Refused([Problem("id", ascii(text), "must be 1 to 64 letters of ASCII, digits or dashes")])
