"""What the agent knows of one injection: the same record in memory, in the journal, in history and on the wire."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

PENDING, INJECTING, ACTIVE, REVERTING, REVERTED, FAILED = (
    "pending",
    "injecting",
    "active",
    "reverting",
    "reverted",
    "failed",
)
OVER = (REVERTED, FAILED)


class Ended:
    """Why an injection ended; the words of `chaos.v1.Ended`."""

    DURATION = "duration"
    OPERATOR = "operator"
    CONTROLLER_LOST = "controller-lost"
    DRIFT = "drift"
    NO_EFFECT = "no-effect"
    AGENT_RESTART = "agent-restart"
    HOST_RESTART = "host-restart"
    WORKER_LOST = "worker-lost"
    FAILED = "failed"


class Outcome:
    """What an undo found; the words of `chaos.v1.Outcome`."""

    REVERTED = "reverted"
    ALREADY_CLEAN = "already-clean"
    NO_TRACE = "no-trace"
    UNKNOWN = "unknown"
    STILL_PRESENT = "still-present"
    REVERTING = "reverting"
    PROVED = (REVERTED, ALREADY_CLEAN, NO_TRACE)


@dataclass(frozen=True, slots=True)
class Record:
    """One injection. Ticks are ns of CLOCK_BOOTTIME of `boot_id`; 0 where the moment has not come."""

    id: str
    digest: str = ""
    kind: str = ""
    fault: Mapping[str, Any] = field(default_factory=dict)  # as people write it
    parameters: Mapping[str, Any] = field(default_factory=dict)  # base units, with defaults
    undo: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    boot_id: str = ""
    state: str = PENDING
    accepted_tick: int = 0
    deadline_tick: int = 0
    lease_tick: int = 0
    lease_ns: int = 0
    active_tick: int = 0
    inert_tick: int = 0
    clean_tick: int = 0
    active_unix_ns: int = 0
    inert_unix_ns: int = 0
    clean_unix_ns: int = 0
    ended: str = ""
    outcome: str = ""
    left: str = ""
    observed: Mapping[str, float] = field(default_factory=dict)
    drift: str = ""
    unproven: str = ""
    acknowledged: bool = False

    @property
    def expires_tick(self) -> int:
        """When the kernel's own switch ends it: lease or deadline, whichever is first."""
        return min(self.lease_tick, self.deadline_tick)

    @property
    def proved(self) -> bool:
        """Whether it is certain that nothing of it is left."""
        return self.outcome in Outcome.PROVED

    @property
    def over(self) -> bool:
        return self.state in OVER

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Self:
        """Keys that a newer agent wrote are passed over: they must not keep an older one from undoing.

        `TypeError` for what is no record.
        """
        record = cls(**{item.name: content[item.name] for item in fields(cls) if item.name in content})  # type: ignore[arg-type]
        pattern = cls("")
        for item in fields(cls):
            if type(getattr(record, item.name)) is not type(getattr(pattern, item.name)):
                raise TypeError(f"{item.name} of a record is {getattr(record, item.name)!r}")
        return record

    def __str__(self) -> str:
        end = f", {self.ended}: {self.outcome}" if self.ended else ""
        return f"{self.id} {self.kind} {self.state}{end}{f' ({self.left})' if self.left else ''}"
