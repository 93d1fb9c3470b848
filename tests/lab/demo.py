"""The tour: what chaosctl does, step by step, on a fleet of the lab. Ends 0 only when everything it says was seen.

Pings go from `gw`, a machine without an agent, to every host all the time; at the end they are drawn.
"""

import re
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.rule import Rule

HOSTS = ("web1", "web2", "web3", "db1")
EVERY_S = 0.1
SLOW_MS = 50
BARS = "▁▂▃▄▅▆▇█"
CHART_COLUMNS = 100
out = Console(highlight=False, width=118)


@dataclass
class Pulse:
    """A ping that goes on through the whole tour. `times` has (when, milliseconds) of each answer."""

    host: str
    times: list[tuple[float, float]] = field(default_factory=list)
    sent: int = 0
    answered: int = 0
    began: threading.Event = field(default_factory=threading.Event)
    slow: threading.Event = field(default_factory=threading.Event)

    def follow(self, ping: "subprocess.Popen[str]") -> None:
        assert ping.stdout is not None
        for line in ping.stdout:
            if seen := re.search(r"\[([\d.]+)\].*time=([\d.]+) ms", line):
                self.times.append((float(seen[1]), float(seen[2])))
                self.began.set()
                if self.times[-1][1] > SLOW_MS:
                    self.slow.set()
            elif counted := re.search(r"(\d+) packets transmitted, (\d+) received", line):
                self.sent, self.answered = int(counted[1]), int(counted[2])

    def typical(self, begin: float, end: float) -> float:
        return statistics.median(time_ms for when, time_ms in self.times if begin <= when <= end)


@contextmanager
def pulses() -> Iterator[dict[str, Pulse]]:
    """Ping every host from gw while the block lasts."""
    found = {host: Pulse(host) for host in HOSTS}
    running = []
    for host, pulse in found.items():
        command = ["lab", "on", "gw", "stdbuf", "-oL", "ping", "-D", "-i", str(EVERY_S), "-4", host]
        ping = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        reader = threading.Thread(target=pulse.follow, args=(ping,))
        reader.start()
        running.append((ping, reader))
    try:
        for pulse in found.values():
            pulse.began.wait(30)
        yield found
    finally:
        for ping, reader in running:
            ping.send_signal(signal.SIGINT)
            reader.join()
            ping.wait()


def title(text: str) -> None:
    out.print()
    out.print(Rule(text, align="left"))


def say(text: str) -> None:
    out.print(text)


def show(command: str, expect: int = 0) -> None:
    """Type a command before the reader's eyes; a surprising end of it ends the tour."""
    out.print(f"[bold]$ {command}[/bold]")
    done = subprocess.run(shlex.split(command), check=False)
    if done.returncode != expect:
        sys.exit(f"demo: that ended {done.returncode}, expected was {expect}")


def settle(seconds: float) -> tuple[float, float]:
    """Let pings go by; begin and end of that time."""
    begin = time.time()
    time.sleep(seconds)
    return begin, time.time()


def require(truth: bool, claim: str) -> bool:
    out.print(f"  [green]✓[/green] {claim}" if truth else f"  [red]✗[/red] {claim}: this was not seen")
    return truth


def numbers(found: dict[str, Pulse], spans: dict[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    """The median ping of every host in every span, as a table: a busy machine spoils a mean."""
    means = {host: {name: pulse.typical(*span) for name, span in spans.items()} for host, pulse in found.items()}
    out.print("  ping from gw, median".ljust(24) + "".join(name.rjust(12) for name in spans))
    for host, row in means.items():
        out.print(f"  {host}".ljust(24) + "".join(f"{value:9.2f} ms" for value in row.values()))
    return means


def chart(found: dict[str, Pulse]) -> None:
    """One line a host, one column a moment, the height the ping."""
    begin = min(pulse.times[0][0] for pulse in found.values())
    end = max(pulse.times[-1][0] for pulse in found.values())
    top = max(value for pulse in found.values() for _, value in pulse.times)
    for pulse in found.values():
        columns: list[list[float]] = [[] for _ in range(CHART_COLUMNS)]
        for when, value in pulse.times:
            columns[min(CHART_COLUMNS - 1, int((when - begin) / (end - begin) * CHART_COLUMNS))].append(value)
        heights = [max(column, default=0) for column in columns]
        out.print(f"  {pulse.host:5}" + "".join(BARS[min(7, int(height / top * 8))] for height in heights))
    out.print(f"  {'':5}0 s{f'{end - begin:.0f} s':>{CHART_COLUMNS - 3}}   (highest: {top:.0f} ms)")


def tour() -> None:
    title("1. The fleet")
    say("Four hosts with an agent each, gw without one, and a controller. Each is a network of its own.")
    show("chaosctl hosts")
    title("2. The plan: who would be hit, and why everybody else would not")
    say("Nothing is touched by it. The same check runs again before anything starts.")
    show("chaosctl plan latency --hosts 'web*' --delay 100ms --duration 8s")
    with pulses() as found:
        before = settle(2)
        title("3. Inject, in the foreground: Ctrl-C would end it, on every host, at once")
        began = time.time()
        show("chaosctl inject latency --hosts 'web*' --delay 100ms --duration 8s --reason tour")
        after = settle(1.5)
        title("4. Again, and now somebody pulls the emergency brake")
        for pulse in found.values():
            pulse.slow.clear()
        show("chaosctl inject latency --hosts 'web*' --delay 60ms --duration 5m --detach")
        wait_slow(found)
        again = settle(1.5)
        show("chaosctl abort --all --reason 'the tour is over'")
        end = settle(1.5)
    title("5. What the wire saw")
    during = delayed(found, began, after[0])
    spans = {"before": before, "delay 100": during, "after": after, "delay 60": again, "aborted": end}
    seen = check(found, numbers(found, spans))
    chart(found)
    if not seen:
        sys.exit("demo: not everything was seen. Is this machine very busy? Its own pauses are in the numbers, too.")
    title("6. The fence is up: nothing new starts until a person lifts it")
    show("chaosctl inject latency --hosts web1 --delay 10ms", expect=3)
    show("chaosctl fence lift")
    title("7. Who did what")
    show("chaosctl audit --limit 6")
    say("\nThe same lab is yours: [bold]make lab[/bold]. Try `chaosctl inject latency --help`.")


def wait_slow(found: dict[str, Pulse]) -> None:
    """Until every web host answers late."""
    for host, pulse in found.items():
        if host.startswith("web") and not pulse.slow.wait(30):
            sys.exit(f"demo: {host} was not delayed")


def delayed(found: dict[str, Pulse], begin: float, end: float) -> tuple[float, float]:
    """When web1 was slow within a span: from the first to the last late answer, without the edges."""
    late = [when for when, value in found["web1"].times if begin <= when <= end and value > SLOW_MS]
    if len(late) < 10:
        sys.exit("demo: web1 was not delayed")
    return late[2], late[-8]


def check(found: dict[str, Pulse], means: dict[str, dict[str, float]]) -> bool:
    """Whether the wire saw what the tour said."""
    webs = [means[host] for host in HOSTS if host.startswith("web")]
    rise = [row["delay 100"] - row["before"] for row in webs]
    say("")
    clean = subprocess.run(["lab", "on", "web1", "tc", "qdisc"], check=True, capture_output=True, text=True).stdout
    seen = [
        require(all(99 <= value <= 101 for value in rise), "web1, web2 and web3 were later by 100 ms, give or take 1"),
        require(all(59 <= row["delay 60"] - row["before"] <= 61 for row in webs), "then by 60 ms"),
        require(all(row["aborted"] < 5 for row in webs), "after the abort they were as before"),
        require(all(value < 5 for value in means["db1"].values()), "db1, not chosen, noticed nothing"),
        require(all(pulse.sent == pulse.answered for pulse in found.values()), "not one packet was lost on the way"),
        require("clsact" not in clean and "netem" not in clean, "nothing of ours is left on web1 (tc qdisc)"),
    ]
    return all(seen)


if __name__ == "__main__":
    tour()
