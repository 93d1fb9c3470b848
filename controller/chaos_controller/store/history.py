"""Plans, experiments and their rows, and the one transaction that admits a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from chaos_controller.blast_radius import Member
from chaos_controller.experiment import Experiment, Request, Row, why_unproved
from chaos_controller.objections import Objection, objection, refused
from chaos_controller.states import FREE, OVER, Ended, ExperimentState, Reason, TargetState
from chaos_controller.store import tables
from chaos_controller.store.database import Database

Judge = Callable[[Sequence[Member]], Sequence[Objection]]
"""What speaks against a run, given the fleet as the transaction sees it."""
_e, _i, _l, _h = tables.experiments.c, tables.injections.c, tables.ledger.c, tables.hosts.c
_ROW_DETAILS = (
    "fault", "note", "sent", "stuck", "first_lease", "deadline", "active_at", "inert_at", "clean_at", "observed",
    "drift", "unproven", "facts", "accepted_by",
)  # fmt: skip
_DETAILS = ("keepalive_ns", "due_at", "started_at", "ended_at", "note")
_NOT_FREE = [state for state in TargetState if state not in FREE]


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """The decision of a plan, as needed to carry it out later."""

    hash: str
    spec: bytes
    targets: Sequence[tuple[str, str]]
    catalogue: str
    expires_at: int


class History:
    """Reads and writes of experiments. `read_request` turns the stored specification back into a request."""

    def __init__(self, database: Database, read_request: Callable[[bytes], Request]) -> None:
        self._database = database
        self._read_request = read_request

    def admit(self, experiment: Experiment, key: str | None, judge: Judge) -> str | None:
        """Reserve every row of a run, or raise `Refused` and reserve none.

        Sums are taken and rows written while the ledger's row is held, so that two runs can't both have the last of
        the budget. Returns the id of the run that had the same idempotency key before, else None.
        """
        with self._database.write() as connection:
            if key is not None and (known := _by_key(connection, experiment.by, key)):
                return known
            if connection.execute(select(_l.fence)).scalar_one():
                remedy = "an abort is up; `chaosctl fence lift` when it is safe again"
                raise refused([objection(Reason.FENCE, "fence", "", remedy)])
            if objections := judge(_members(connection)):
                raise refused(objections)
            connection.execute(insert(tables.experiments).values(_head(experiment) | {"idempotency_key": key}))
            connection.execute(insert(tables.injections), list(_bodies(experiment)))
        return None

    def members(self) -> list[Member]:
        """The fleet as budgets see it, apart from who is offline."""
        with self._database.read() as connection:
            return _members(connection)

    def id_by_key(self, by: str, key: str) -> str | None:
        """The run of this caller with this idempotency key."""
        with self._database.read() as connection:
            return _by_key(connection, by, key)

    def save(self, heads: Iterable[Experiment], rows: Iterable[Row]) -> None:
        """Write the present state of experiments and of rows; one transaction."""
        with self._database.write() as connection:
            for head in heads:
                connection.execute(update(tables.experiments).where(_e.id == head.id).values(_head(head)))
            for row in rows:
                connection.execute(update(tables.injections).where(_i.id == row.injection_id).values(_body(row)))

    def load(self, experiment_id: str) -> Experiment | None:
        """An experiment by its id."""
        with self._database.read() as connection:
            head = connection.execute(select(tables.experiments).where(_e.id == experiment_id)).mappings().first()
            return self._experiment(connection, head) if head else None

    def load_unforgotten(self) -> list[Experiment]:
        """Experiments that are not over, or of which something is not proved clean."""
        with self._database.read() as connection:
            open_rows = select(_i.experiment_id).where(_i.state.in_(_NOT_FREE))
            wanted = _e.state.not_in(list(OVER)) | _e.id.in_(open_rows)
            heads = connection.execute(select(tables.experiments).where(wanted)).mappings().all()
            return [self._experiment(connection, head) for head in heads]

    def newest(self, limit: int) -> list[Experiment]:
        """The newest experiments first."""
        with self._database.read() as connection:
            wanted = select(tables.experiments).order_by(_e.created_at.desc()).limit(limit)
            return [self._experiment(connection, head) for head in connection.execute(wanted).mappings().all()]

    def save_plan(self, plan: StoredPlan, now: int) -> None:
        """Keep a plan until it expires; those that have are dropped."""
        p = tables.plans.c
        targets = [list(target) for target in plan.targets]
        with self._database.write() as connection:
            connection.execute(delete(tables.plans).where((p.hash == plan.hash) | (p.expires_at <= now)))
            values = {"hash": plan.hash, "spec": plan.spec, "targets": targets, "catalogue": plan.catalogue}
            connection.execute(insert(tables.plans).values(values | {"expires_at": plan.expires_at}))

    def plan(self, plan_hash: str) -> StoredPlan | None:
        """The plan with this hash, expired or not."""
        with self._database.read() as connection:
            row = connection.execute(select(tables.plans).where(tables.plans.c.hash == plan_hash)).mappings().first()
            return StoredPlan(**{**row, "targets": [(name, id_) for name, id_ in row["targets"]]}) if row else None

    def _experiment(self, connection: Connection, head: RowMapping) -> Experiment:
        wanted = select(tables.injections).where(_i.experiment_id == head["id"]).order_by(_i.position)
        rows = tuple(_row(body) for body in connection.execute(wanted).mappings())
        details = dict(head["details"])
        return Experiment(
            id=head["id"],
            by=head["by"],
            request=self._read_request(head["spec"]),
            plan_hash=head["plan_hash"],
            created_at=head["created_at"],
            rows=rows,
            state=ExperimentState(head["state"]),
            ended=Ended(details.pop("ended")),
            **details,
        )


def _by_key(connection: Connection, by: str, key: str) -> str | None:
    wanted = select(_e.id).where(_e.by == by, _e.idempotency_key == key)
    return connection.execute(wanted).scalar_one_or_none()


def _members(connection: Connection) -> list[Member]:
    unproved: dict[str, str] = {}
    wanted = select(_i.host, _i.state, _i.details, _i.experiment_id).where(_i.state.in_(_NOT_FREE))
    for host, state, details, experiment_id in connection.execute(wanted):
        unproved.setdefault(host, why_unproved(TargetState(state), details["deadline"], experiment_id))
    enrolled = connection.execute(select(_h.name, _h.labels).where(_h.retired_at.is_(None)).order_by(_h.name))
    return [Member(name, labels, None, unproved.get(name, "")) for name, labels in enrolled]


def _head(experiment: Experiment) -> dict[str, Any]:
    details: Mapping[str, Any] = {name: getattr(experiment, name) for name in _DETAILS}
    return {
        "id": experiment.id,
        "by": experiment.by,
        "state": int(experiment.state),
        "spec": experiment.request.wire,
        "plan_hash": experiment.plan_hash,
        "created_at": experiment.created_at,
        "details": {**details, "ended": int(experiment.ended)},
    }


def _bodies(experiment: Experiment) -> Iterable[dict[str, Any]]:
    for position, row in enumerate(experiment.rows):
        yield {**_body(row), "id": row.injection_id, "experiment_id": experiment.id, "position": position}


def _body(row: Row) -> dict[str, Any]:
    details = {name: getattr(row, name) for name in _ROW_DETAILS}
    details |= {"ended": int(row.ended), "observed": dict(row.observed), "facts": dict(row.facts)}
    return {"host": row.host, "state": int(row.state), "details": details}


def _row(body: RowMapping) -> Row:
    details = dict(body["details"])
    ended = Ended(details.pop("ended"))
    return Row(injection_id=body["id"], host=body["host"], state=TargetState(body["state"]), ended=ended, **details)
