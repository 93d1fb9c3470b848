"""The course of one experiment: an event in, the experiment after it and commands out. No I/O, no clock of its own.

    reserved ─▶ told ─▶ active ─▶ ending ─▶ clean | never started       proved by the host
                                        └─▶ presumed clean              lease or deadline over, not proved; may be later
                                        └─▶ accepted                    a person took it on themselves

A target that fails does not stop the others: it is reported, and the experiment ends as failed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from chaos_controller import timing
from chaos_controller.events import (
    Accepted,
    Command,
    Connected,
    Event,
    Found,
    Inject,
    Lost,
    Ordered,
    Passed,
    Refused,
    Renewed,
    Reported,
    Revert,
    Sampled,
    Sending,
    Stop,
)
from chaos_controller.experiment import Experiment, Report, Row
from chaos_controller.states import (
    PROVED,
    Ended,
    ExperimentState,
    InjectionState,
    Outcome,
    Reason,
    TargetState,
)

START_WINDOW_NS = 10 * timing.SECOND
"""How long a start is tried again, always with the same id, before it is given up and undone."""
RETRY_NS = timing.SECOND // 5

_ABORTING = frozenset({Ended.OPERATOR, Ended.CALLER_LOST, Ended.GUARD})
_GOOD = frozenset({Outcome.REVERTED, Outcome.ALREADY_CLEAN, Outcome.NO_TRACE})


Step = tuple[Experiment, tuple[Command, ...]]


def step(experiment: Experiment, event: Event, now: int) -> Step:
    """The experiment after the event, and what is to be done."""
    changed, commands = _react(experiment, event, now)
    return _judged_again(experiment, _conclude(changed, now)), commands


def _react(experiment: Experiment, event: Event, now: int) -> Step:
    match event:
        case Passed(beats):
            return _passed(experiment, beats, now)
        case Renewed():
            return replace(experiment, heard_at=now), ()
        case Ordered(why, note):
            return _ordered(experiment, why, note, now)
        case Connected(host, live):
            return experiment, tuple(_after_connecting(experiment, host, live, now))
        case Accepted(host, by, note):
            rows = [_accepted(row, by, note) if row.host == host else row for row in experiment.rows]
            return replace(experiment, rows=tuple(rows)), ()
        case _:
            return _row_event(experiment, event, now)


def _row_event(experiment: Experiment, event: Sending | Refused | Lost | Reported | Found | Sampled, now: int) -> Step:
    row = experiment.row(event.report.id if isinstance(event, Reported) else event.injection_id)
    if row is None:
        return experiment, ()
    match event:
        case Sending(_, read_at):
            changed, commands = _sent(experiment, row, read_at), _NOTHING
        case Refused(_, reason, note):
            changed, commands = _refused(experiment, row, reason, note, now)
        case Lost(_, note):
            changed, commands = _lost(experiment, row, note, now)
        case Reported(report):
            changed, commands = _reported(experiment, row, report)
        case Found(_, outcome):
            changed, commands = _found(row, outcome), _NOTHING
        case Sampled(_, observed, drift, unproven):
            changed, commands = replace(row, observed=observed, drift=drift, unproven=unproven), _NOTHING
    return experiment.with_row(changed), commands


_NOTHING: tuple[Command, ...] = ()


def _passed(experiment: Experiment, beats: Mapping[str, int], now: int) -> Step:
    if experiment.state is ExperimentState.WAITING:
        if now >= experiment.due_at:
            return _begin(experiment, now)
    elif _caller_is_lost(experiment, now):
        return _ordered(experiment, Ended.CALLER_LOST, "its caller was not heard of in time", now)
    rows, commands = [], list(_NOTHING)
    for row in experiment.rows:
        until = row.holds_until(experiment.request.lease_ns, beats.get(row.host))
        if row.is_settled or until is None or now < until:
            rows.append(row)
            continue
        rows.append(_presumed(row, until))
        commands.append(Revert(row.injection_id))
    return replace(experiment, rows=tuple(rows)), tuple(commands)


def _begin(experiment: Experiment, now: int) -> Step:
    started = replace(experiment, state=ExperimentState.RUNNING, started_at=now)
    return started, first_commands(started)


def first_commands(experiment: Experiment) -> tuple[Command, ...]:
    """What a run that was just admitted asks for: its starts, unless it waits for its time."""
    running = experiment.state is ExperimentState.RUNNING
    return tuple(Inject(row.injection_id) for row in experiment.rows) if running else ()


def _caller_is_lost(experiment: Experiment, now: int) -> bool:
    waits = experiment.keepalive_ns > 0 and not experiment.is_ending
    return waits and now >= experiment.heard_at + experiment.keepalive_ns


def _presumed(row: Row, until: int) -> Row:
    by_itself = Ended.DURATION if until == row.deadline else Ended.CONTROLLER_LOST
    note = f"presumed clean since {timing.shown_latest(until)}, not proved{f'; {row.note}' if row.note else ''}"
    return replace(row, state=TargetState.PRESUMED_CLEAN, ended=row.ended or by_itself, note=note)


def _sent(experiment: Experiment, row: Row, read_at: int) -> Row:
    request = experiment.request
    return replace(
        row,
        state=TargetState.TOLD if row.state is TargetState.RESERVED else row.state,
        sent=row.sent + 1,
        first_lease=max(row.first_lease or 0, timing.lease_bound(read_at, request.lease_ns, starting=True)),
        deadline=max(row.deadline or 0, timing.deadline_bound(read_at, request.duration_ns)),
    )


def _may_retry(experiment: Experiment, row: Row, now: int) -> bool:
    waiting = row.state in (TargetState.RESERVED, TargetState.TOLD)
    return waiting and not experiment.is_ending and now < (experiment.started_at or now) + START_WINDOW_NS


def _refused(experiment: Experiment, row: Row, reason: Reason, note: str, now: int) -> tuple[Row, tuple[Command, ...]]:
    if reason is Reason.STALE and _may_retry(experiment, row, now):
        return row, (Inject(row.injection_id, RETRY_NS),)
    if row.sent > 1 or row.state not in (TargetState.RESERVED, TargetState.TOLD):
        # An earlier call may have got through and its answer been lost: only the host can say.
        return _ending(row, Ended.REFUSED, note), (Revert(row.injection_id),)
    return replace(row, state=TargetState.NEVER_STARTED, ended=row.ended or Ended.REFUSED, note=note), ()


def _lost(experiment: Experiment, row: Row, note: str, now: int) -> tuple[Row, tuple[Command, ...]]:
    if row.is_settled or row.state is TargetState.ACTIVE:
        return row, ()
    if _may_retry(experiment, row, now):
        return replace(row, note=note), (Inject(row.injection_id, RETRY_NS),)
    if not row.was_sent:
        return replace(row, state=TargetState.NEVER_STARTED, ended=row.ended or Ended.FAILED, note=note), ()
    return _ending(row, Ended.FAILED, note), (Revert(row.injection_id),)


def _ending(row: Row, why: Ended, note: str = "") -> Row:
    return replace(row, state=TargetState.ENDING, ended=row.ended or why, note=note or row.note)


def _reported(experiment: Experiment, row: Row, report: Report) -> tuple[Row, tuple[Command, ...]]:
    known = _with_facts(row, report)
    if report.is_clean:
        return (known if row.is_free else _clean(known, report.outcome)), ()
    if report.state in (InjectionState.FAILED, InjectionState.REVERTED):
        stuck = report.outcome is Outcome.STILL_PRESENT
        return replace(_ending(known, Ended.FAILED), stuck=stuck), (Revert(row.injection_id),)
    if report.state is InjectionState.REVERTING:
        return replace(known, state=TargetState.ENDING), ()
    if experiment.is_ending or row.is_settled or row.state is TargetState.ENDING:
        # It lives though it should not: whatever we thought, the host is right.
        return _ending(known, Ended.UNSPECIFIED), (Revert(row.injection_id),)
    state = TargetState.ACTIVE if report.state is InjectionState.ACTIVE else TargetState.TOLD
    return replace(known, state=state, note=report.note), ()  # it answers: what was said of its silence is over


def _with_facts(row: Row, report: Report) -> Row:
    return replace(
        row,
        # What was presumed of its end gives way to what the host says of it.
        ended=(report.ended or row.ended) if row.state is TargetState.PRESUMED_CLEAN else (row.ended or report.ended),
        note=report.note or ("" if report.is_clean else row.note),
        first_lease=report.lease_ends or row.first_lease,
        active_at=report.active_at or row.active_at,
        inert_at=report.inert_at or row.inert_at,
        clean_at=report.clean_at or row.clean_at,
        observed=report.observed or row.observed,
        drift=report.drift or row.drift,
        unproven=report.unproven,
        facts=report.facts or row.facts,
    )


def _clean(row: Row, outcome: Outcome) -> Row:
    started = row.active_at or row.inert_at or outcome is not Outcome.NO_TRACE
    state = TargetState.CLEAN if started else TargetState.NEVER_STARTED
    ended = row.ended or (Ended.UNSPECIFIED if started else Ended.CONTROLLER_LOST)
    return replace(row, state=state, ended=ended, stuck=False)


def _found(row: Row, outcome: Outcome) -> Row:
    if row.is_free:
        return row
    if outcome in _GOOD:
        return _clean(replace(row, note="" if row.state is TargetState.PRESUMED_CLEAN else row.note), outcome)
    stuck = outcome is Outcome.STILL_PRESENT
    note = {Outcome.UNKNOWN: "the host does not know it, but has marks of ours", Outcome.STILL_PRESENT: row.note}
    return replace(_ending(row, Ended.UNSPECIFIED, note.get(outcome, "")), stuck=stuck)


def _after_connecting(experiment: Experiment, host: str, live: frozenset[str], now: int) -> Iterable[Command]:
    for row in experiment.rows_on(host):
        starting = row.sent > 0 and _may_retry(experiment, row, now)
        if row.is_free or not row.was_sent or starting:
            continue
        should_live = row.state in (TargetState.TOLD, TargetState.ACTIVE) and not experiment.is_ending
        if not (should_live and row.injection_id in live):
            yield Revert(row.injection_id)


def _ordered(experiment: Experiment, why: Ended, note: str, now: int) -> Step:
    if experiment.is_over:
        return experiment, ()
    rows: list[Row] = []
    stop: dict[str, list[str]] = {}
    for row in experiment.rows:
        if row.is_free:
            rows.append(row)
        elif not row.was_sent:
            rows.append(replace(row, state=TargetState.NEVER_STARTED, ended=row.ended or why, note="it was never sent"))
        else:
            state = row.state if row.state is TargetState.PRESUMED_CLEAN else TargetState.ENDING
            rows.append(replace(row, state=state, ended=row.ended or why))
            stop.setdefault(row.host, []).append(row.injection_id)
    ending = replace(
        experiment,
        rows=tuple(rows),
        state=ExperimentState.ENDING,
        ended=experiment.ended or why,
        note=experiment.note or note,
    )
    return ending, tuple(Stop(host, tuple(ids)) for host, ids in stop.items())


def _accepted(row: Row, by: str, note: str) -> Row:
    if row.is_free:
        return row
    return replace(row, state=TargetState.ACCEPTED, accepted_by=by, note=note, stuck=False)


def _conclude(experiment: Experiment, now: int) -> Experiment:
    if experiment.is_over or experiment.state is ExperimentState.WAITING:
        return experiment
    if all(row.is_settled for row in experiment.rows):
        return _over(experiment, now)
    busy = (TargetState.RESERVED, TargetState.TOLD, TargetState.ACTIVE)
    if not any(row.state in busy for row in experiment.rows):
        return replace(experiment, state=ExperimentState.ENDING)
    return experiment


def _over(experiment: Experiment, now: int) -> Experiment:
    return replace(_judged(experiment, experiment.ended, experiment.note), ended_at=now)


def _judged(experiment: Experiment, ended: Ended, note: str) -> Experiment:
    """Its state and why it ended; `ended` and `note` are what was ordered, if anything was."""
    causes = [row.ended for row in experiment.rows]
    unusual = [cause for cause in causes if cause is not Ended.DURATION]
    ended = ended or (unusual[0] if unusual else Ended.DURATION)
    if ended in _ABORTING or Ended.OPERATOR in causes:
        state = ExperimentState.ABORTED
    elif unusual or any(not row.is_free for row in experiment.rows):
        state = ExperimentState.FAILED
    else:
        state = ExperimentState.COMPLETED
    return replace(experiment, state=state, ended=ended, note=note or _verdict(experiment))


def _judged_again(before: Experiment, after: Experiment) -> Experiment:
    """A host that was given up for unproved has told how it was: the record follows."""
    if not before.is_over or before.rows == after.rows or before.note != _verdict(before):
        return after
    ordered = after.ended if after.ended in _ABORTING else Ended.UNSPECIFIED
    return _judged(after, ordered, "")


def _verdict(experiment: Experiment) -> str:
    unproved = [row.host for row in experiment.rows if row.state not in PROVED]
    failed = [row.host for row in experiment.rows if row.ended not in (Ended.DURATION, *_ABORTING)]
    words = [f"failed on {', '.join(dict.fromkeys(failed))}"] if failed else []
    words += [f"not proved clean: {', '.join(dict.fromkeys(unproved))}"] if unproved else []
    return "; ".join(words)


def next_wake(experiment: Experiment, beats: Mapping[str, int]) -> int | None:
    """When `Passed` should come at the latest."""
    moments = []
    if experiment.state is ExperimentState.WAITING:
        moments.append(experiment.due_at)
    if experiment.keepalive_ns and not experiment.is_ending:
        moments.append(experiment.heard_at + experiment.keepalive_ns)
    for row in experiment.rows:
        until = row.holds_until(experiment.request.lease_ns, beats.get(row.host))
        if until is not None and not row.is_settled:
            moments.append(until)
    return min(moments, default=None)


def taken_up(experiment: Experiment, now: int) -> Experiment:
    """An experiment read from the store by a new process: what was on its way then is in doubt until a host tells.

    A waiting one has sent nothing, for it is committed as running first. Beats may have gone out until just now.
    """
    if experiment.state is ExperimentState.WAITING:
        return replace(experiment, heard_at=now)
    rows = tuple(_doubted(experiment, row, now) for row in experiment.rows)
    return replace(experiment, rows=rows, heard_at=now)


def _doubted(experiment: Experiment, row: Row, now: int) -> Row:
    if row.is_free:
        return row
    request = experiment.request
    deadline = row.deadline or timing.deadline_bound(now, request.duration_ns)
    lease = timing.lease_bound(now, request.lease_ns, starting=True)
    return replace(row, in_doubt=True, first_lease=lease, deadline=deadline)
