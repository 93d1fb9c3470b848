"""A controller killed with SIGKILL: how long until packets pass as before, and what was promised.

make lab RUN='python -m bench.lease'
"""

import os
import signal
import time

from bench.tables import conditions, spread, table
from bench.wire import Pings
from tests.system.fleet import Fleet, lab, latency

ROUNDS = {"5s": 5, "15s": 3}
INTERVAL_S = 0.05
SLOW_MS = 40


def seen(lease: str) -> float:
    """Seconds from the kill to the first ping that is not delayed any more."""
    fleet = Fleet()
    fleet.run(latency("50ms", "web1", duration="120s", lease=lease))
    with Pings("web1", INTERVAL_S) as pings:
        time.sleep(float(lease[:-1]) / 2)
        killed = time.time()
        os.kill(int(lab("pid", "controller")), signal.SIGKILL)
        time.sleep(float(lease[:-1]) + 1)
        echoes = pings.end()
    lab("start", "controller")
    lab("ready")
    last = max(index for index, echo in enumerate(echoes) if echo.ms > SLOW_MS)
    return echoes[last + 1].sent - killed


def main() -> None:
    conditions(
        f"pings from gw to web1, {INTERVAL_S * 1000:.0f} ms apart, 50 ms of delay; kill -9 of the controller, "
        "then the first ping without delay; median of the rounds (least–most)",
        "a lease counts from the last tick that the controller echoed: four fifths of it to all of it are meant",
    )
    rows = [(lease, rounds, spread([seen(lease) for _ in range(rounds)], 2)) for lease, rounds in ROUNDS.items()]
    table(["lease asked", "rounds", "seen, s"], rows)


if __name__ == "__main__":
    main()
