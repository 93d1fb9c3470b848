"""The words of the protocol for states and ends, as the core knows them; a test keeps them equal to the proto's."""

from enum import IntEnum


class Reason(IntEnum):
    """Why something is refused: `chaos.v1.Refused`."""

    INPUT = 1
    LAW = 2
    BUDGET = 3
    FENCE = 4
    OVERLAP = 5
    STALE = 6
    MISSING = 7
    HOST = 8
    CALLER = 9


class InjectionState(IntEnum):
    """What an agent says of an injection."""

    UNSPECIFIED = 0
    PENDING = 1
    INJECTING = 2
    ACTIVE = 3
    REVERTING = 4
    REVERTED = 5
    FAILED = 6


class Ended(IntEnum):
    """Why something ended."""

    UNSPECIFIED = 0
    DURATION = 1
    OPERATOR = 2
    CALLER_LOST = 3
    CONTROLLER_LOST = 4
    GUARD = 5
    DRIFT = 6
    NO_EFFECT = 7
    AGENT_RESTART = 8
    HOST_RESTART = 9
    WORKER_LOST = 10
    REFUSED = 11
    FAILED = 12


class Outcome(IntEnum):
    """What an undo found."""

    UNSPECIFIED = 0
    REVERTED = 1
    ALREADY_CLEAN = 2
    NO_TRACE = 3
    UNKNOWN = 4
    STILL_PRESENT = 5
    REVERTING = 6


class TargetState(IntEnum):
    """Where one injection is, as the controller knows it. Only the proved and the accepted give their budget back."""

    RESERVED = 1
    TOLD = 2
    ACTIVE = 3
    ENDING = 4
    CLEAN = 5
    NEVER_STARTED = 6
    PRESUMED_CLEAN = 7
    ACCEPTED = 8


class ExperimentState(IntEnum):
    """Where an experiment is."""

    PLANNED = 1
    WAITING = 2
    RUNNING = 3
    ENDING = 4
    COMPLETED = 5
    ABORTED = 6
    FAILED = 7


PROVED = frozenset({TargetState.CLEAN, TargetState.NEVER_STARTED})
FREE = PROVED | {TargetState.ACCEPTED}
SETTLED = FREE | {TargetState.PRESUMED_CLEAN}
OVER = frozenset({ExperimentState.COMPLETED, ExperimentState.ABORTED, ExperimentState.FAILED})
