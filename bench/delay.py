"""Delay asked and seen: `chaosctl inject latency` and `tc qdisc replace … root netem`, on one host in turns.

make lab RUN='python -m bench.delay'
"""

from statistics import median

from bench.tables import conditions, spread, table
from bench.wire import ping
from tests.system.fleet import Fleet, latency, on

ASKED_MS = (1, 10, 50, 200)
ROUNDS = 5
PINGS = 40
HOST = "web1"


def ours(fleet: Fleet, asked: int) -> list[float]:
    """Round trips while the product delays what the host sends."""
    experiment = fleet.run(latency(f"{asked}ms", HOST, duration="60s"))
    try:
        return ping(HOST, PINGS)
    finally:
        fleet.end(experiment)


def tc(asked: int) -> list[float]:
    """The same by hand: what was the root qdisc is gone."""
    on(HOST, "tc", "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", f"{asked}ms")
    try:
        return ping(HOST, PINGS)
    finally:
        on(HOST, "tc", "qdisc", "del", "dev", "eth0", "root")


def main() -> None:
    fleet = Fleet()
    conditions(
        f"ping from gw to {HOST}, {ROUNDS} rounds of {PINGS} pings 20 ms apart, clean, ours and tc in turns",
        "shown: how much longer the mean round trip of a round was than the clean one before it, ms, "
        "median of the rounds (least–most)",
    )
    rows = []
    clean: list[float] = []
    for asked in ASKED_MS:
        added: dict[str, list[float]] = {"ours": [], "tc": []}
        for _ in range(ROUNDS):
            before = _mean(ping(HOST, PINGS))
            clean.append(before)
            added["ours"].append(_mean(ours(fleet, asked)) - before)
            added["tc"].append(_mean(tc(asked)) - before)
        rows.append((asked, spread(added["ours"], 2), spread(added["tc"], 2), f"{median(added['ours']) - asked:+.2f}"))
    table(["asked, ms", "ours", "tc at the root", "ours less asked"], rows)
    print(f"Clean round trip: {spread(clean, 2)} ms.")


def _mean(times: list[float]) -> float:
    return sum(times) / len(times)


if __name__ == "__main__":
    main()
