"""Packets lost and out of order when a delay begins and when it ends: the product and tc at the root.

make lab RUN='python -m bench.ends'
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.tables import conditions, spread, table
from bench.wire import Datagram, Flow, late
from tests.system.fleet import Fleet, latency, on

ROUNDS = 3
DELAY = "100ms"
GAP_US = 4000
IMPAIRED, BYSTANDER = 9000, 9001
HOLD_S = 3.0

HEAD = (
    "",
    "lost at the start",
    "out of order",
    "lost at the end",
    "out of order",
    "bystander: lost or out of order, all rounds",
    "bystander meanwhile, ms on the way",
)

Scenario = Callable[[], float]
"""Impairs and ends; the moment (CLOCK_MONOTONIC) between the two."""


def orderly(fleet: Fleet) -> float:
    """The duration passes."""
    experiment = fleet.run(latency(DELAY, "web1", duration=f"{HOLD_S + 3:.0f}s", to_port=[str(IMPAIRED)]))
    between = time.monotonic()
    fleet.until_over(experiment)
    return between


def abort(fleet: Fleet) -> float:
    """Somebody ends it in a hurry."""
    experiment = fleet.run(latency(DELAY, "web1", duration="60s", to_port=[str(IMPAIRED)]))
    between = time.monotonic()
    time.sleep(HOLD_S)
    fleet.end(experiment)
    return between


def tc_at_the_root() -> float:
    """As most tools do it."""
    on("web1", "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", DELAY)
    between = time.monotonic()
    time.sleep(HOLD_S)
    on("web1", "tc", "qdisc", "del", "dev", "eth0", "root")
    return between


TREE = f"""
tc qdisc add dev eth0 root handle 1: prio
tc qdisc add dev eth0 parent 1:3 handle 30: netem delay {DELAY}
tc filter add dev eth0 parent 1: protocol ip u32 match ip dport {IMPAIRED} 0xffff flowid 1:3
"""


def tc_with_a_filter() -> float:
    """As the careful do it: a tree at the root, netem in one of its bands."""
    on("web1", "sh", "-ec", TREE)
    between = time.monotonic()
    time.sleep(HOLD_S)
    on("web1", "tc", "qdisc", "del", "dev", "eth0", "root")
    return between


@dataclass(frozen=True)
class Harm:
    """What one scenario did: of the impaired flow at the start and at the end, of the bystander's in all."""

    lost: tuple[int, int]
    late: tuple[int, int]
    bystander: int
    bystander_ms: float


def measure(scenario: Scenario) -> Harm:
    """Both flows through one scenario."""
    count = int((HOLD_S + 9) * 1e6 / GAP_US)
    flow = Flow("web1", "gw", "10.77.0.3", [IMPAIRED, BYSTANDER], count, GAP_US)
    time.sleep(1)
    between = scenario()
    came = flow.arrived()
    first, second = _halves(came[IMPAIRED], between, count)
    held = [each for each in came[BYSTANDER] if between <= each.sent < between + HOLD_S]
    return Harm(
        lost=(first[0], second[0]),
        late=(late(first[1]), late(second[1])),
        bystander=count - len(came[BYSTANDER]) + late(came[BYSTANDER]),
        bystander_ms=median((each.received - each.sent) * 1000 for each in held),
    )


def _halves(came: list[Datagram], between: float, count: int) -> list[tuple[int, list[Datagram]]]:
    first = [each for each in came if each.sent < between]
    second = [each for each in came if each.sent >= between]
    split = min(each.number for each in second)
    return [(split - len(first), first), (count - split - len(second), second)]


def main() -> None:
    fleet = Fleet()
    scenarios: dict[str, Scenario] = {
        "ours, duration over": lambda: orderly(fleet),
        "ours, aborted": lambda: abort(fleet),
        "tc: root netem, add and del": tc_at_the_root,
        "tc: root prio + u32 + netem, add and del": tc_with_a_filter,
    }
    conditions(
        f"two flows of datagrams from web1 to gw, {GAP_US / 1000:.0f} ms apart each; {DELAY} for the one to port "
        f"{IMPAIRED}; the bystander goes to {BYSTANDER}",
        f"{ROUNDS} rounds in turns, packets, median (least–most); a delay of {DELAY} has "
        f"{int(DELAY[:-2]) * 1000 // GAP_US} packets of a flow inside",
    )
    results: dict[str, list[Harm]] = {name: [] for name in scenarios}
    for _ in range(ROUNDS):
        for name, scenario in scenarios.items():
            results[name].append(measure(scenario))
    rows = []
    for name, rounds in results.items():
        halves = [
            spread([counts[half] for counts in what], 0)
            for half in (0, 1)
            for what in ([each.lost for each in rounds], [each.late for each in rounds])
        ]
        way = spread(each.bystander_ms for each in rounds)
        rows.append((name, *halves, sum(each.bystander for each in rounds), way))
    table(HEAD, rows)


if __name__ == "__main__":
    main()
