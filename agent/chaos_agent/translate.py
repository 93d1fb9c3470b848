"""Between the agent's values and the messages of the wire."""

import contextlib
from collections.abc import Iterable
from typing import Any

from chaos_protocol import catalogue, document, refusals
from chaos_protocol.problems import Refused
from chaos_protocol.v1 import agent_pb2, faults_pb2

from chaos_agent.admission import Denied, Start
from chaos_agent.records import Record
from chaos_agent.standing import Guard, Order

_REASONS = {
    "input": agent_pb2.REFUSED_INPUT,
    "law": agent_pb2.REFUSED_LAW,
    "fence": agent_pb2.REFUSED_FENCE,
    "overlap": agent_pb2.REFUSED_OVERLAP,
    "stale": agent_pb2.REFUSED_STALE,
    "host": agent_pb2.REFUSED_HOST,
    "caller": agent_pb2.REFUSED_CALLER,
}
_LONGEST_REASON = 200
_SAME = (
    "id",
    "digest",
    "accepted_tick",
    "deadline_tick",
    "lease_tick",
    "active_tick",
    "inert_tick",
    "clean_tick",
    "left",
    "drift",
    "unproven",
    "boot_id",
    "active_unix_ns",
    "inert_unix_ns",
    "clean_unix_ns",
)


def reason_of(kind: str) -> agent_pb2.Refused.ValueType:
    """The wire's word for why something was denied."""
    return _REASONS[kind]


def refused(denied: Denied) -> Refused:
    """A denial as the gate sends it."""
    return Refused(denied.problems, _REASONS[denied.kind])


def injection(record: Record) -> agent_pb2.Injection:
    """A record for the wire; moments that have not come are absent."""
    message = agent_pb2.Injection(observed=record.observed, facts=record.facts)
    for name in _SAME:
        if value := getattr(record, name):
            setattr(message, name, value)
    if record.fault:
        with contextlib.suppress(Refused):  # a newer agent's: the record counts all the same
            message.fault.CopyFrom(document.read(faults_pb2.Fault, record.fault))
    message.state = _number(agent_pb2.InjectionState, "INJECTION_STATE", record.state)
    if record.ended:
        message.ended = _number(agent_pb2.Ended, "ENDED", record.ended)
    if record.outcome:
        message.outcome = outcome(record.outcome)
    return message


def outcome(word: str) -> agent_pb2.Outcome.ValueType:
    """The wire's number for an outcome."""
    number: agent_pb2.Outcome.ValueType = _number(agent_pb2.Outcome, "OUTCOME", word)
    return number


def _number(enum: Any, prefix: str, word: str) -> Any:
    """The wire's number for a word; unspecified for one that only a newer agent has."""
    name = f"{prefix}_{word.upper().replace('-', '_')}"
    return enum.Value(name) if name in enum.keys() else 0  # noqa: SIM118


def start(request: agent_pb2.InjectRequest) -> Start:
    """A start from the wire; the request passed the gate's checks."""
    kind, parameters = fault(request.fault)
    guard = request.guard
    return Start(
        id=request.id,
        digest=request.digest,
        kind=kind,
        fault=document.write(request.fault),
        parameters=parameters,
        duration_ns=request.duration_ns,
        lease_ns=request.lease_ns,
        guard=Guard(guard.fleet, guard.term, guard.generation, guard.tick),
    )


def fault(message: faults_pb2.Fault) -> tuple[str, dict[str, object]]:
    """Kind and parameters in base units, with defaults."""
    kind, inner = catalogue.kind_of(message)
    return kind, document.plain(document.with_defaults(inner))


def orders(messages: Iterable[agent_pb2.AbortOrder]) -> list[Order]:
    """Aborts from the wire. They are kept for good, so their words are kept short."""
    return [
        Order(each.abort_id, each.reason[:_LONGEST_REASON], each.by[:_LONGEST_REASON], each.host_only)
        for each in messages
    ]


def orders_up(standing_up: Iterable[Order]) -> list[agent_pb2.AbortOrder]:
    """Aborts for the wire."""
    return [
        agent_pb2.AbortOrder(abort_id=each.id, reason=each.reason, by=each.by, host_only=each.host_only)
        for each in standing_up
    ]


problem = refusals.message_of
