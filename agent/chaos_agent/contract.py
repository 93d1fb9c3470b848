"""What a fault is to the rest of the agent: the one interface between `faults/` and everything else.

A fault module `faults/<kind>.py` has one class, `FAULT = <Class>`, that satisfies `Fault`. It runs twice: in the
daemon, which only calls `missing`, `read`, `check` and (after a crash) `revert`, and in the worker process of one
injection, which calls `inject` and then talks to what that returned. Neither imports protobuf to do so: parameters
arrive as plain values in the wire's base units (`{"delay_ns": 100_000_000, "direction": "egress"}`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable

from chaos_protocol.problems import Problem

Parameters = Mapping[str, object]
"""Fields of the fault's message by name; unset optional fields without a default are absent."""
Undo = Mapping[str, object]
"""All that the undo needs, JSON; it is on disk before the host is touched."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `check` needs of the host owner's agent.yaml; what of it matters later, `check` puts into the undo.

    `protect` has entries like `tcp/22`, `udp/51820` and `10.0.0.0/8`.
    """

    agent_port: int = 0
    protect: Sequence[str] = ()
    backlog_cap_bytes: int = 256 * 1024 * 1024
    require_gate: bool = False
    runtime_folder: str = "/run/chaos-agent"


class Claim(Protocol):
    """What an injection holds for itself, so that a second one on the same thing is refused by name."""

    def overlaps(self, other: "Claim") -> bool: ...
    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check` found; nothing has been touched.

    `notes` are sentences for the plan (what it would do, what it does not cover), `facts` what parameters became on
    this host (`{"interface": "eth0", "to": "10.0.0.5, fd00::5"}`).
    """

    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    claims: Sequence[Claim] = ()
    undo: Undo = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """One measurement: `values` by name with the unit in the name (`delay_ns`, `matched_packets`).

    `drift` says what somebody else changed under us, `unproven` why an effect can't be expected to show yet, `why`
    what stands between the fault and its effect, when there is none and there should be.
    """

    values: Mapping[str, int | float]
    effect: bool
    drift: str = ""
    unproven: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reverted:
    """The honest end of an undo: `result` is `reverted`, `already clean`, `no trace`, `unknown` or `still present`."""

    result: str
    left: str = ""
    dropped: int = 0


class Held(Protocol):
    """A fault in effect, in the hands of its worker."""

    def extend(self, expires_ns: int) -> None:
        """Let the kernel's own switch hold until `expires_ns` (CLOCK_BOOTTIME, absolute). Verifies before it writes."""

    def observe(self) -> Observation:
        """Read the effect back from the kernel. Called each second."""

    def close(self) -> None:
        """Make the fault inert now: nothing new is touched from here on. What is left is cleaned by `revert`."""


@runtime_checkable
class Fades(Protocol):
    """A held fault that ends better when it may prepare for its end."""

    def fade_ns(self) -> int:
        """How long before the deadline `fade` wants to begin."""

    def fade(self, until_ns: int, hurry: Callable[[], bool]) -> None:
        """Lower the effect to nothing by `until_ns`; return at once when `hurry()` says so."""


class Fault(Protocol):
    """One kind of fault with its parameters."""

    @classmethod
    def missing(cls) -> Sequence[Problem]:
        """What this host lacks for this kind (a kernel module, a capability), each with how to mend it."""

    @classmethod
    def read(cls, parameters: Parameters) -> Self:
        """The fault with its parameters; they passed the catalogue's own checks."""

    def check(self, injection_id: str, settings: Settings) -> Verdict:
        """What the options can't say: cross-field rules, this host's names and interfaces, what it would claim."""

    def inject(self, undo: Undo, expires_ns: int) -> Held:
        """Bring the fault about as `undo` says, holding until `expires_ns`, verified by reading it back.

        Raises `FaultFailed`; what was already changed is left for `revert`.
        """

    @classmethod
    def revert(cls, undo: Undo) -> Reverted:
        """Undo whatever of it is there: idempotent, in any state, from `undo` alone, by whoever holds the lock."""


@runtime_checkable
class Scans(Protocol):
    """A kind of fault that leaves marks on the host by which it is found when the journal is lost."""

    @classmethod
    def scan(cls) -> Sequence[tuple[str, Undo]]:
        """Injection id and undo of each that bears our name."""


class FaultFailed(Exception):
    """The host refused, or reading back showed something else than asked."""
