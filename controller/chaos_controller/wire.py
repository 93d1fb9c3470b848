"""Messages of the API to what the core works with."""

import dataclasses
from typing import TypeVar

from chaos_protocol import catalogue, document, refusals
from chaos_protocol.v1 import agent_pb2, controller_pb2, faults_pb2

from chaos_controller.events import Sampled
from chaos_controller.experiment import Fault, Report, Request
from chaos_controller.plan import Verdict
from chaos_controller.states import Ended, InjectionState, Outcome, Reason
from chaos_controller.store.records import AbortRecord
from chaos_controller.targets import Selection
from chaos_controller.timing import HostClock

E = TypeVar("E", InjectionState, Ended, Outcome)


def request_of(spec: controller_pb2.Spec) -> Request:
    """What was asked for, with the defaults of the catalogue."""
    full = document.with_defaults(spec)
    return Request(
        faults=tuple(_fault_of(fault) for fault in full.faults),
        selection=selection_of(full.selection),
        duration_ns=full.duration_ns,
        lease_ns=full.lease_ns,
        start_in_ns=full.start_in_ns,
        reason=full.reason,
        wire=full.SerializeToString(deterministic=True),
    )


def request_from(stored: bytes) -> Request:
    """The request behind a stored specification."""
    return request_of(controller_pb2.Spec.FromString(stored))


def with_seed(request: Request, seed: int | None) -> Request:
    """The same request with the seed that was used, so that it can be drawn again."""
    if seed is None:
        return request
    spec = controller_pb2.Spec.FromString(request.wire)
    spec.selection.seed = seed
    return dataclasses.replace(request_of(spec), faults=request.faults)


def selection_of(selection: controller_pb2.Selection) -> Selection:
    """Which hosts."""
    return Selection(
        hosts=tuple(selection.hosts),
        labels=tuple(selection.labels),
        except_hosts=tuple(selection.except_hosts),
        count=selection.count if selection.HasField("count") else None,
        percent_ppm=selection.percent_ppm if selection.HasField("percent_ppm") else None,
        seed=selection.seed if selection.HasField("seed") else None,
    )


def _fault_of(fault: faults_pb2.Fault) -> Fault:
    kind, _ = catalogue.kind_of(fault)
    canonical = document.canonical(fault)
    return Fault(kind, document.digest(fault), canonical.decode(), fault.SerializeToString(deterministic=True))


def fault_message(fault: Fault) -> faults_pb2.Fault:
    """The fault for an agent."""
    return faults_pb2.Fault.FromString(fault.wire)


def report_of(injection: agent_pb2.Injection, clock: HostClock, outcome: int = 0) -> Report:
    """An agent's record; its ticks become the controller's time. `outcome` stands in where the record has none."""

    def instant(tick: int) -> int | None:
        return clock.instant(tick) if tick else None

    ends = [clock.instant(tick) for tick in (injection.lease_tick, injection.deadline_tick) if tick]
    return Report(
        id=injection.id,
        state=known(InjectionState, injection.state),
        ended=known(Ended, injection.ended),
        outcome=known(Outcome, injection.outcome or outcome),
        note=injection.left,
        active_at=instant(injection.active_tick),
        inert_at=instant(injection.inert_tick),
        clean_at=instant(injection.clean_tick),
        lease_ends=min(ends, default=None),
        observed=dict(injection.observed),
        drift=injection.drift,
        unproven=injection.unproven,
        facts=dict(injection.facts),
    )


def known(words: type[E], number: int) -> E:
    """The word behind a number from the wire; an unknown number is unspecified."""
    # A newer agent may know more ends than we do; that must not keep us from hearing it.
    return words(number) if number in words._value2member_map_ else words(0)


def sample_of(sample: agent_pb2.Sample) -> Sampled:
    """A measurement."""
    return Sampled(sample.injection_id, dict(sample.observed), sample.drift, sample.unproven)


def abort_of(order: agent_pb2.AbortOrder, now: int) -> AbortRecord:
    """An abort that somebody told us of."""
    return AbortRecord(order.abort_id, order.reason, order.by, now)


def order_of(record: AbortRecord) -> agent_pb2.AbortOrder:
    """An abort for the wire."""
    return agent_pb2.AbortOrder(abort_id=record.id, reason=record.reason, by=record.by)


def verdict_of(verdict: agent_pb2.Verdict) -> Verdict:
    """What an agent says of a fault."""
    problems = tuple(map(refusals.problem_of, verdict.problems))
    reason = Reason(verdict.reason) if verdict.reason in Reason._value2member_map_ else Reason.HOST
    return Verdict(problems, reason, tuple(verdict.notes), dict(verdict.facts))
