"""What a person at the console can do: by the local socket, and by the locks where no daemon answers."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import grpc
from chaos_protocol import catalogue, refusals, values
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2, agent_pb2_grpc, options_pb2

from chaos_agent import undoing
from chaos_agent.config import Config
from chaos_agent.host.clock import tick_ns
from chaos_agent.ledger import Ledger
from chaos_agent.records import Ended, Outcome, Record
from chaos_agent.standing import Order

_ANSWER_WITHIN_S = 5.0
_BY = "root on the host"
T = TypeVar("T")
Account = tuple[list[str], bool]
"""Lines to print, and whether everything is proved clean."""


def _ask(config: Config, question: Callable[[agent_pb2_grpc.AgentStub], T]) -> T | None:
    """The daemon's answer; None when there is none in time."""
    with grpc.insecure_channel(f"unix:{config.socket}") as channel:
        try:
            return question(agent_pb2_grpc.AgentStub(channel))
        except grpc.RpcError as error:
            if refused := refusals.unpack(error):
                raise refused from None
            return None


def status(config: Config) -> Account:
    """One line an injection, and what is unproved."""
    request = agent_pb2.ListRequest(history=True)
    reply = _ask(config, lambda agent: agent.List(request, timeout=_ANSWER_WITHIN_S))
    if reply is None:
        left = [f"{record.id}: {record}" for record in undoing.leftovers(Ledger(config.state))]
        return ["the daemon does not answer; `chaos-agent revert --all` works all the same", *left], bool(left)
    lines = [f"abort {order.abort_id} is up, by {order.by}: {order.reason}" for order in reply.aborts_up]
    lines += [_line(injection, reply.tick) for injection in reply.injections]
    unproved = [each for each in reply.injections if _is_open(each)]
    return lines or ["nothing is under fault, and nothing was"], bool(unproved)


def _is_open(injection: agent_pb2.Injection) -> bool:
    return _word(agent_pb2.Outcome.DESCRIPTOR, injection.outcome) not in Outcome.PROVED


def _word(enum: object, number: int) -> str:
    return catalogue.word_of(enum, number)  # type: ignore[arg-type]


def _line(injection: agent_pb2.Injection, now: int) -> str:
    state = _word(agent_pb2.InjectionState.DESCRIPTOR, injection.state)
    kind, _ = catalogue.kind_of(injection.fault)
    parts = [injection.id, kind, state]
    if injection.HasField("ended"):
        outcome = _word(agent_pb2.Outcome.DESCRIPTOR, injection.outcome)
        parts.append(f"ended by {_word(agent_pb2.Ended.DESCRIPTOR, injection.ended)}: {outcome}")
    elif injection.deadline_tick > now:
        left = (injection.deadline_tick - now) // 10**9 * 10**9
        parts.append(f"{values.show(options_pb2.UNIT_DURATION, left)} left")
    return "  ".join([*parts, injection.left] if injection.left else parts)


def revert(config: Config, injection_id: str | None) -> Account:
    """Undo one injection, or all: through the daemon where it answers, by ourselves where it does not."""
    listed = _ask(config, lambda agent: agent.List(agent_pb2.ListRequest(), timeout=_ANSWER_WITHIN_S))
    if listed is None:
        return _revert_alone(config, injection_id)
    ids = [injection_id] if injection_id else [each.id for each in listed.injections]
    lines, clean = [], True
    for each in ids:
        request = agent_pb2.RevertRequest(id=each)
        reply = _ask(config, lambda agent, request=request: agent.Revert(request, timeout=3 * _ANSWER_WITHIN_S))  # type: ignore[misc]
        outcome = _word(agent_pb2.Outcome.DESCRIPTOR, reply.outcome) if reply else Outcome.UNKNOWN
        clean = clean and outcome in Outcome.PROVED
        lines.append(f"{each}: {outcome}{f': {reply.injection.left}' if reply and reply.injection.left else ''}")
    return lines or ["nothing to revert"], clean


def _revert_alone(config: Config, injection_id: str | None) -> Account:
    ledger = Ledger(config.state)
    leftovers = {record.id: record for record in undoing.leftovers(ledger)}
    if injection_id:
        leftovers = {injection_id: leftovers.get(injection_id, Record(injection_id))}
    done = [_undo(ledger, record) for record in leftovers.values()]
    lines = [f"{record.id}: {record.outcome}{f': {record.left}' if record.left else ''}" for record in done]
    return lines or ["nothing to revert"], all(record.outcome in Outcome.PROVED for record in done)


def _undo(ledger: Ledger, record: Record) -> Record:
    try:
        return undoing.undo(ledger, record, Ended.OPERATOR)
    except OSError as error:  # of one: the others' turn comes all the same
        return replace(record, outcome=Outcome.UNKNOWN, left=str(error))


def abort(config: Config, reason: str) -> Account:
    """End everything here and let nothing start."""
    order = agent_pb2.AbortOrder(abort_id=str(uuid.uuid4()), reason=reason, by=_BY, host_only=True)
    request = agent_pb2.AgentAbortRequest(order=order)
    reply = _ask(config, lambda agent: agent.Abort(request, timeout=_ANSWER_WITHIN_S))
    if reply is None:
        return _abort_alone(config, Order(order.abort_id, reason, _BY, host_only=True))
    lines = [_line(injection, tick_ns()) for injection in reply.injections]
    clean = not any(not each.inert_tick for each in reply.injections)
    return [*lines, "nothing starts here until `chaos-agent resume`"], clean


def _abort_alone(config: Config, order: Order) -> Account:
    ledger = Ledger(config.state)
    with ledger.daemon_lock() as lock:
        # A daemon that lives and does not answer would start again what we keep out, and write its standing over ours.
        lock.seize(undoing.PATIENCE_S)
        lines, clean = _revert_alone(config, None)
        try:
            ledger.write_standing(ledger.standing().aborted([order]))
        except (OSError, Refused) as error:
            return [*lines, f"the abort can't be written down: {error}"], False
    return [*lines, "nothing starts here until `chaos-agent resume`"], clean


def resume(config: Config) -> list[str]:
    """Lift the aborts that hold here."""
    listed = _ask(config, lambda agent: agent.List(agent_pb2.ListRequest(), timeout=_ANSWER_WITHIN_S))
    if listed is None:
        return _resume_alone(config)
    request = agent_pb2.LiftRequest(abort_ids=[order.abort_id for order in listed.aborts_up])
    _ask(config, lambda agent: agent.Lift(request, timeout=_ANSWER_WITHIN_S))
    return [f"lifted {order.abort_id}: {order.reason}" for order in listed.aborts_up] or ["nothing was up"]


def _resume_alone(config: Config) -> list[str]:
    ledger = Ledger(config.state)
    with ledger.daemon_lock() as lock:
        if not lock.take():  # it would write its own standing over ours
            raise Refused([Problem("daemon", str(config.state), "runs and does not answer; end it, then resume")])
        standing = ledger.standing()
        ledger.write_standing(standing.lift(order.id for order in standing.up))
    return [f"lifted {order.id}: {order.reason}" for order in standing.up] or ["nothing was up"]
