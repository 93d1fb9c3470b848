"""An experiment as the core knows it: what was asked, and one row for each fault on each host. Frozen; no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from chaos_controller.states import FREE, OVER, SETTLED, Ended, ExperimentState, InjectionState, Outcome, TargetState
from chaos_controller.targets import Selection
from chaos_controller.timing import shown


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault the core never looks into: `canonical` is its JSON with defaults, `wire` the message for the agent."""

    kind: str
    digest: str
    canonical: str
    wire: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, defaults filled in. Durations in ns; `wire` is the same as a message."""

    faults: tuple[Fault, ...]
    selection: Selection
    duration_ns: int
    lease_ns: int
    start_in_ns: int = 0
    reason: str = ""
    wire: bytes = b""


@dataclass(frozen=True, slots=True)
class Report:
    """What an agent says of an injection, its ticks turned into the controller's time."""

    id: str
    state: InjectionState
    ended: Ended = Ended.UNSPECIFIED
    outcome: Outcome = Outcome.UNSPECIFIED
    note: str = ""
    active_at: int | None = None
    inert_at: int | None = None
    clean_at: int | None = None
    lease_ends: int | None = None
    observed: Mapping[str, float] = field(default_factory=dict)
    drift: str = ""
    unproven: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether the host proved that nothing of ours is left."""
        over = self.state in (InjectionState.REVERTED, InjectionState.FAILED)
        return over and self.outcome in (Outcome.REVERTED, Outcome.ALREADY_CLEAN, Outcome.NO_TRACE)


@dataclass(frozen=True, slots=True)
class Row:
    """One injection: a fault (by its index in the request) on a host. Instants in ns, the controller's time.

    `sent` counts calls of Inject by this process; `in_doubt` is a row taken over from one that died. `first_lease` and
    `deadline` are upper bounds, None while it was never sent. `stuck`: the host says that something of ours is left.
    """

    injection_id: str
    host: str
    fault: int = 0
    state: TargetState = TargetState.RESERVED
    ended: Ended = Ended.UNSPECIFIED
    note: str = ""
    sent: int = 0
    in_doubt: bool = False
    stuck: bool = False
    first_lease: int | None = None
    deadline: int | None = None
    active_at: int | None = None
    inert_at: int | None = None
    clean_at: int | None = None
    observed: Mapping[str, float] = field(default_factory=dict)
    drift: str = ""
    unproven: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    accepted_by: str = ""

    @property
    def is_free(self) -> bool:
        """Whether its budget is back: proved or accepted."""
        return self.state in FREE

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.state in SETTLED or self.stuck

    @property
    def was_sent(self) -> bool:
        """Whether an agent may ever have heard of it."""
        return self.sent > 0 or self.in_doubt or self.state is not TargetState.RESERVED

    def holds_until(self, lease_ns: int, beat_at: int | None) -> int | None:
        """When it ends by itself at the latest; `beat_at` is when the newest tick that we echoed was read."""
        if self.first_lease is None or self.deadline is None:
            return None
        return min(self.deadline, max(self.first_lease, (beat_at or 0) + lease_ns))

    def __repr__(self) -> str:
        words = [f"{self.host}/{self.fault}", self.state.name.lower().replace("_", " ")]
        words += [self.ended.name.lower().replace("_", " ")] if self.ended else []
        return f"<{', '.join(words)}{f': {self.note}' if self.note else ''}>"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A run and its rows. `keepalive_ns` 0: it needs no caller."""

    id: str
    by: str
    request: Request
    plan_hash: str
    created_at: int
    rows: tuple[Row, ...]
    state: ExperimentState
    keepalive_ns: int = 0
    heard_at: int = field(default=0, compare=False)  # changes all the time; no news to anybody
    due_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    ended: Ended = Ended.UNSPECIFIED
    note: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_forgotten(self) -> bool:
        """Whether it is over and nothing of it counts any more."""
        return self.is_over and all(row.is_free for row in self.rows)

    @property
    def is_ending(self) -> bool:
        return self.is_over or self.state is ExperimentState.ENDING

    def row(self, injection_id: str) -> Row | None:
        """The row of this injection."""
        return next((row for row in self.rows if row.injection_id == injection_id), None)

    def rows_on(self, host: str) -> Iterable[Row]:
        """The rows of one host."""
        return (row for row in self.rows if row.host == host)

    def with_row(self, changed: Row) -> "Experiment":
        """The same with one row changed."""
        rows = tuple(changed if row.injection_id == changed.injection_id else row for row in self.rows)
        return replace(self, rows=rows)


def why_unproved(state: TargetState, deadline: int | None, experiment_id: str) -> str:
    """For the sum of the budget: why a row that is not free is not."""
    where = f"experiment {experiment_id[:8]}"
    if state is TargetState.PRESUMED_CLEAN:
        since = f", its deadline was {shown(deadline)}" if deadline else ""
        return f"not proved clean{since} ({where})"
    if state is TargetState.ENDING:
        return f"not proved clean yet ({where})"
    return f"under fault ({where})"
