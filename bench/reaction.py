"""From Enter to the last of four hosts delayed, and from Ctrl-C to the last of them as before.

    make lab RUN='python -m bench.reaction'

Twice over: by the records of the experiment, and by pings to all four hosts that go on all the time.
"""

import signal
import subprocess
import time
from contextlib import ExitStack
from datetime import datetime
from statistics import median
from typing import Any

from bench.tables import conditions, spread, table
from bench.wire import Echo, Pings
from tests.system.fleet import HOSTS, OVER, Fleet, states

ROUNDS = 5
INTERVAL_S = 0.05
SLOW_MS = 80
COMMAND = ["chaosctl", "inject", "latency", "--hosts", "*", "--delay", "100ms", "--duration", "120s"]


def once(fleet: Fleet) -> dict[str, float]:
    """Seconds of each part."""
    with ExitStack() as stack:
        pings = [stack.enter_context(Pings(host, INTERVAL_S)) for host in HOSTS]
        time.sleep(0.5)
        known = {each["id"] for each in fleet.client.experiments(over=True)["experiments"]}
        enter = time.time()
        command = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        experiment = _active(fleet, known)
        time.sleep(1)
        ctrl_c = time.time()
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=60)
        gone = time.time()
        echoes = [each.end() for each in pings]
    return _parts(fleet.client.show(experiment), enter, ctrl_c, gone, echoes)


def _active(fleet: Fleet, known: set[str]) -> str:
    # Asked seldom: whoever asks takes time from what is measured, there is one CPU.
    while True:
        time.sleep(0.5)
        for experiment in fleet.client.experiments(over=True)["experiments"]:
            if experiment["id"] not in known and experiment["state"] in OVER:
                raise SystemExit(f"bench: it ended before every host was active: {experiment}")
            if experiment["id"] not in known and states(experiment) == {"active"}:
                return str(experiment["id"])


def _parts(
    experiment: dict[str, Any], enter: float, ctrl_c: float, gone: float, echoes: list[list[Echo]]
) -> dict[str, float]:
    targets = experiment["targets"]
    created = _at(experiment["created"])
    active = [_at(target["active"]) for target in targets]
    inert = [_at(target["inert"]) for target in targets]
    clean = [_at(target["clean"]) for target in targets]
    slow = [[echo for echo in of if echo.ms > SLOW_MS] for of in echoes]
    return {
        "Enter → reserved (command starts, plans, asks; controller asks every host)": created - enter,
        "→ first host active (journal, worker, kernel)": min(active) - created,
        "→ last host active": max(active) - min(active),
        "**Enter → last host active, by the records**": max(active) - enter,
        "**Enter → last host active, by ping**": max(of[0].sent for of in slow) - enter,
        "Ctrl-C → first host inert": min(inert) - ctrl_c,
        "**Ctrl-C → last host inert, by the records**": max(inert) - ctrl_c,
        "**Ctrl-C → last host inert, by ping**": max(of[-1].sent for of in slow) - ctrl_c,
        "Ctrl-C → last host clean": max(clean) - ctrl_c,
        "Ctrl-C → command ended, all receipts shown": gone - ctrl_c,
    }


def _at(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _quick(*words: str) -> float:
    began = time.monotonic()
    subprocess.run(words, check=True, capture_output=True)
    return time.monotonic() - began


def main() -> None:
    fleet = Fleet()
    conditions(
        f"{len(HOSTS)} hosts, controller and command on this one CPU; {ROUNDS} rounds, s, median (least–most)",
        f"by ping: the first and the last delayed one, {INTERVAL_S * 1000:.0f} ms apart",
    )
    rounds = [once(fleet) for _ in range(ROUNDS)]
    table(["part", "s"], [(part, spread([each[part] for each in rounds], 2)) for part in rounds[0]])
    python = median(_quick("python", "-c", "pass") for _ in range(5))
    bare = median(_quick("chaosctl", "--help") for _ in range(5))
    asked = median(_quick("chaosctl", "hosts") for _ in range(5))
    print(
        f"Of that the kernel and Python alone: `python -c pass` {python:.2f} s, `chaosctl --help` {bare:.2f} s, "
        f"`chaosctl hosts` (one question, one answer) {asked:.2f} s."
    )


if __name__ == "__main__":
    main()
