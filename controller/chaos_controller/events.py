"""What can happen to an experiment, and what its playbook can ask for."""

from collections.abc import Mapping
from dataclasses import dataclass

from chaos_controller.experiment import Report
from chaos_controller.states import Ended, Outcome, Reason


@dataclass(frozen=True, slots=True)
class Passed:
    """Time passed. `beats`: for each host, when the newest tick that we echoed was read."""

    beats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sending:
    """Inject goes out now, with a guard whose tick was read at `guard_read_at`."""

    injection_id: str
    guard_read_at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The agent refused to start it."""

    injection_id: str
    reason: Reason
    note: str


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer to Inject, or it could not be sent."""

    injection_id: str
    note: str


@dataclass(frozen=True, slots=True)
class Reported:
    """The agent's record of an injection, however it came."""

    report: Report


@dataclass(frozen=True, slots=True)
class Found:
    """What Revert found where the agent has no record of the injection."""

    injection_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Sampled:
    """A measurement while it holds."""

    injection_id: str
    observed: Mapping[str, float]
    drift: str
    unproven: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A new stream with the host; it holds these. What it had to tell has been reported before."""

    host: str
    live: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ordered:
    """The experiment is to end now."""

    why: Ended
    note: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A person answers for what is not proved on this host."""

    host: str
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """The caller was heard of."""


Event = (
    Passed | Sending | Refused | Lost | Reported | Found | Sampled | Connected | Ordered | Accepted | Renewed
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inject:
    """Start it, not before `after_ns` from now."""

    injection_id: str
    after_ns: int = 0


@dataclass(frozen=True, slots=True)
class Revert:
    """Undo it, and go on asking until the host has proved something."""

    injection_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Make these inert now, in one call to their host; then as `Revert`."""

    host: str
    injection_ids: tuple[str, ...]


Command = Inject | Revert | Stop
