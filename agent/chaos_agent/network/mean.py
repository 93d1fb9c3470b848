"""What packets really wait, where that is more than what netem was told: jitter with the order kept."""

import time
from collections.abc import Callable

_ENOUGH_PACKETS, _ENOUGH_SAMPLES = 200, 5


class MeanDelay:
    """Little's law: the mean wait is the mean number waiting, divided by how many come in a unit of time."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._begin_ns = clock()
        self._waiting, self._samples = 0, 0

    def sample(self, waiting: int, matched: int) -> dict[str, int]:
        """Take one sample; `mean_delay_ns`, once there are enough to tell."""
        self._waiting += waiting
        self._samples += 1
        if self._samples < _ENOUGH_SAMPLES or matched < _ENOUGH_PACKETS:
            return {}
        elapsed_ns = self._clock() - self._begin_ns
        return {"mean_delay_ns": round(self._waiting / self._samples * elapsed_ns / matched)}
