"""What the core knows, as messages for people."""

from collections.abc import Iterable

from chaos_protocol import refusals
from chaos_protocol.v1 import agent_pb2, controller_pb2

from chaos_controller import abort, timing, wire
from chaos_controller.experiment import Experiment, Row
from chaos_controller.fence import Fence
from chaos_controller.fleet import Fleet
from chaos_controller.plan import Plan, Verdict
from chaos_controller.receipts import Receipt
from chaos_controller.session import Session
from chaos_controller.store.inventory import HostRecord
from chaos_controller.store.records import AuditRecord


def experiment(known: Experiment, fleet: Fleet, now: int) -> controller_pb2.Experiment:
    """An experiment with all its targets, as it is now."""
    message = controller_pb2.Experiment(
        id=known.id,
        state=controller_pb2.ExperimentState.ValueType(known.state),
        note=known.note,
        by=known.by,
        spec=controller_pb2.Spec.FromString(known.request.wire),
        plan_hash=known.plan_hash,
        targets=(_target(known, row, fleet) for row in known.rows),
        created_unix_ns=known.created_at,
        started_unix_ns=known.started_at,
        over_unix_ns=known.ended_at,
        keepalive_ns=known.keepalive_ns,
    )
    if known.ended:
        message.ended = agent_pb2.Ended.ValueType(known.ended)
    if known.started_at is not None and not known.is_over:
        message.left_ns = max(0, known.started_at + known.request.duration_ns - now)
    return message


def _target(known: Experiment, row: Row, fleet: Fleet) -> controller_pb2.Target:
    session = fleet.session(row.host)
    ends = row.holds_until(known.request.lease_ns, session.beat_at if session else None)
    target = controller_pb2.Target(
        host=row.host,
        injection_id=row.injection_id,
        fault=wire.fault_message(known.request.faults[row.fault]),
        state=controller_pb2.TargetState.ValueType(row.state),
        note=row.note,
        reachable=fleet.is_online(row.host),
        observed=row.observed,
        drift=row.drift or None,
        unproven=row.unproven or None,
        active_unix_ns=row.active_at,
        inert_unix_ns=row.inert_at,
        clean_unix_ns=row.clean_at,
        lease_ends_unix_ns=None if row.is_free else ends,
        accepted_by=row.accepted_by or None,
        facts=row.facts,
    )
    if row.ended:
        target.ended = agent_pb2.Ended.ValueType(row.ended)
    return target


def plan(known: Plan) -> controller_pb2.Plan:
    """A plan, with why it would be refused now."""
    message = controller_pb2.Plan(
        hash=known.hash,
        spec=controller_pb2.Spec.FromString(known.request.wire),
        targets=[
            controller_pb2.PlannedTarget(host=target.name, host_id=target.id, verdicts=map(_verdict, target.verdicts))
            for target in known.targets
        ],
        spared=[controller_pb2.Spared(host=each.name, why=each.why) for each in known.spared],
        problems=[refusals.message_of(each.problem) for each in known.objections],
        expires_unix_ns=known.expires_at,
        budget=known.budget,
    )
    if known.objections:
        message.reason = agent_pb2.Refused.ValueType(min(each.reason for each in known.objections))
    return message


def _verdict(verdict: Verdict) -> agent_pb2.Verdict:
    message = agent_pb2.Verdict(
        problems=map(refusals.message_of, verdict.problems), notes=verdict.notes, facts=verdict.facts
    )
    if verdict.problems:
        message.reason = agent_pb2.Refused.ValueType(verdict.reason)
    return message


def report(abort_id: str, known: abort.Report) -> controller_pb2.AbortReport:
    """The account of an abort."""
    return controller_pb2.AbortReport(
        abort_id=abort_id,
        receipts=map(_receipt, known.receipts),
        fence_up=known.fence_up,
        settled=known.settled,
        warnings=known.warnings,
    )


def _receipt(known: Receipt) -> controller_pb2.Receipt:
    return controller_pb2.Receipt(
        host=known.host,
        injection_id=known.injection_id or None,
        experiment_id=known.experiment_id or None,
        state=controller_pb2.TargetState.ValueType(known.state),
        says=known.says,
        inert_unix_ns=known.inert_at,
        clean_unix_ns=known.clean_at,
        lease_ends_unix_ns=known.ends_at,
        reachable=known.reachable,
    )


def fence(known: Fence) -> controller_pb2.Fence:
    """Whether an abort of all is up, and which."""
    return controller_pb2.Fence(up=known.is_up, orders=map(wire.order_of, known.up))


def host(record: HostRecord, session: Session | None, held: Iterable[str]) -> controller_pb2.Host:
    """A host with its last contact and what is not proved clean on it."""
    message = controller_pb2.Host(
        name=record.name,
        id=record.id,
        labels=record.labels,
        address=record.address,
        online=session is not None and session.is_online,
        last_contact_unix_ns=record.last_contact,
        enrolled_unix_ns=record.enrolled_at,
        retired=record.retired_at is not None,
        injections=held,
        note=_note(record, session),
    )
    if session and session.described.wire:
        described = agent_pb2.Description.FromString(session.described.wire)
        message.version = described.version
        message.kinds.extend(described.kinds)
        message.law.update(described.law)
    return message


def _note(record: HostRecord, session: Session | None) -> str:
    notes = [record.note] if record.note else []
    if record.revoked_at is not None:
        notes.append(f"its certificate was revoked at {timing.shown(record.revoked_at)}; enrol it again")
    if session and not session.is_online:
        notes.append(f"offline: {session.offline_why}")
    for order in session.host_aborts if session else ():
        notes.append(f"takes nothing until `chaos-agent resume` there: {order.by}: {order.reason}")
    return "; ".join(notes)


def audit(record: AuditRecord) -> controller_pb2.AuditEntry:
    """One entry of the audit log."""
    entry = controller_pb2.AuditEntry(
        seq=record.seq,
        at_unix_ns=record.at,
        who=record.who,
        what=record.what,
        subject=record.subject,
        hosts=record.hosts,
        result=record.result,
    )
    setattr(entry, "from", record.origin)
    return entry
