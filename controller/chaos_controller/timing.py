"""Time as the controller reckons it. All instants are nanoseconds since 1970 on its own steady clock.

Hosts count on clocks of their own; a bound here is an upper one: the host is never later than it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos_protocol import values

from chaos_controller import units

SECOND = 10**9
GUARD_AGE_NS = 5 * SECOND
"""A start is refused by the agent when its guard's tick is older than this."""
IDLE_TICK_NS = 30 * SECOND
TICKS_A_LEASE = 5
PLAN_VALID_NS = 3600 * SECOND

Now = Callable[[], int]


def steady_clock() -> Now:
    """Wall time at this call, carried on by the monotonic clock: a step of the wall clock ends and prolongs nothing."""
    started = time.time_ns() - time.monotonic_ns()
    return lambda: started + time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class HostClock:
    """What to add to a host's tick to have the controller's time; `offset_ns` is at most one way's delay too large."""

    offset_ns: int

    def heard(self, tick: int, now: int) -> "HostClock":
        """With one more tick that was read at `now`: the smallest difference is the truest."""
        return HostClock(min(self.offset_ns, now - tick))

    def instant(self, tick: int) -> int:
        """When the host's clock showed `tick`."""
        return self.offset_ns + tick


def lease_bound(read_at: int, lease_ns: int, starting: bool) -> int:
    """When a lease is over at the latest, whose newest tick was read at `read_at`.

    An agent accepts a start up to `GUARD_AGE_NS` after that tick, and the first lease may count from there.
    """
    return read_at + lease_ns + (GUARD_AGE_NS if starting else 0)


def deadline_bound(read_at: int, duration_ns: int) -> int:
    """When an injection is over at the latest, whose guard's tick was read at `read_at`."""
    return read_at + GUARD_AGE_NS + duration_ns


def tick_interval(leases_ns: list[int]) -> int:
    """How often an agent that holds these leases sends a tick."""
    return min([lease // TICKS_A_LEASE for lease in leases_ns], default=IDLE_TICK_NS)


def silence_allowed(interval_ns: int) -> int:
    """How long a stream may be silent: two ticks missed, and half a one for the way."""
    return interval_ns * 5 // 2


def shown(instant: int) -> str:
    """An instant for sentences: UTC, to the second."""
    return values.show(units.INSTANT, instant // SECOND * SECOND)


def shown_latest(instant: int) -> str:
    """The same for the moment by which something is over at the latest: never earlier than it."""
    return shown(instant + SECOND - 1)


def lasting(duration_ns: int) -> str:
    """A duration for sentences."""
    return values.show(units.DURATION, duration_ns)
