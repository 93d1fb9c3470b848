"""A diversion that is let go gently: its delay is lowered step by step, so that no packet overtakes another."""

import time
from collections.abc import Callable
from typing import cast

from chaos_agent.network.held import Diversion

_FADE_DELAYS, _FADE_LONGEST_NS, _FADE_STEPS, _FADE_SPARE = 5, 10_000_000_000, 40, 0.1
_GLANCE_S, _GLIMPSE_S = 0.02, 0.002


class Fading(Diversion):
    """A latency in effect; it can fade, so that its end neither loses nor reorders a packet."""

    def fade_ns(self) -> int:
        longest = cast(int, self._undo["delay_ns"]) + cast(int, self._undo["jitter_ns"])
        return min(_FADE_DELAYS * longest, _FADE_LONGEST_NS)

    def fade(self, until_ns: int, hurry: Callable[[], bool]) -> None:
        begin = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        steps_end = until_ns - int((until_ns - begin) * _FADE_SPARE)  # then all is out before the gate closes
        for step in range(1, _FADE_STEPS + 1):
            due = begin + (steps_end - begin) * step // _FADE_STEPS
            while (remaining := due - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) > 0:
                if hurry():
                    return
                time.sleep(min(_GLANCE_S, remaining / 1e9))
            self.change(1 - step / _FADE_STEPS)
        # What the last step but one delayed is still inside: with the gate shut now, the next packet would overtake it.
        while any(leg.engine.inside() for leg in self._legs) and time.clock_gettime_ns(time.CLOCK_BOOTTIME) < until_ns:
            if hurry():
                return
            time.sleep(_GLIMPSE_S)
