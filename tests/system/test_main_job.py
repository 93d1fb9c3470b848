"""The main job: packets of the chosen hosts are later by what was asked, nobody else's, and nothing is left.

`chaosctl` is a process here, as it is for people, and every host has a root qdisc, a clsact and filters of its owner.
"""

import json
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from typing import Self

import pytest

from tests.system.fleet import HOSTS, Fleet, Pinging, latency, on, picture, pictures, ping
from tests.system.sockets import at

DELAY_MS = 100
WEB = ("web1", "web2", "web3")
COMMAND = ["chaosctl", "inject", "latency", "--hosts", "web*", "--delay", f"{DELAY_MS}ms"]
# What goes to 10.77.0.1 is dropped, and so is what comes from fd77::1.
FOREIGN = """
qdisc add dev eth0 root handle 1: prio
qdisc add dev eth0 clsact
filter add dev eth0 egress pref 100 protocol ip flower dst_ip 10.77.0.1 action drop
filter add dev eth0 ingress pref 7 protocol ipv6 flower src_ip fd77::1 action drop
"""
GONE = "qdisc del dev eth0 root\nqdisc del dev eth0 clsact\n"


def tc(host: str, *lines: str) -> None:
    subprocess.run(["tc", "-n", host, "-batch", "-"], input="\n".join(lines), text=True, check=True)


@pytest.fixture
def furnished(fleet: Fleet) -> Iterator[Mapping[str, str]]:
    """Every host has what its owner put there; pictures of it."""
    for host in HOSTS:
        tc(host, FOREIGN)
    yield pictures()
    for host in HOSTS:
        tc(host, GONE)


class Watched(AbstractContextManager["Watched"]):
    """The fleet seen from gw while a fault comes and goes, by ping; and what the kernel says of web1's links."""

    def __init__(self) -> None:
        self._pinging = {host: Pinging(host, interval=0.1) for host in HOSTS}

    def __enter__(self) -> Self:
        with ExitStack() as ending:
            for pinging in self._pinging.values():
                ending.enter_context(pinging)
            self._said = ending.enter_context(tempfile.TemporaryFile(mode="w+"))
            self._monitor = subprocess.Popen(["ip", "-n", "web1", "-ts", "monitor", "link"], stdout=self._said)
            ending.callback(self._monitor.wait)
            ending.callback(self._monitor.terminate)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._monitor.terminate()
        self._monitor.wait()
        self._said.seek(0)
        deleted = re.findall(r"^\[(.*?)\] Deleted", self._said.read(), re.MULTILINE)
        self._ending.close()
        self._cleaned = datetime.fromisoformat(deleted[-1]).timestamp()

    @property
    def lost(self) -> set[int]:
        return set().union(*(pinging.lost for pinging in self._pinging.values()))

    def held_s(self, host: str) -> float:
        """From the first packet that was late to the last."""
        return self._late(host)[-1] - self._late(host)[0]

    def cleaned_s(self) -> float:
        """From web1's first packet that was late to the end of the last link that came with it."""
        return self._cleaned - self._late("web1")[0]

    def means(self) -> dict[str, float]:
        """Round trips while it held on all of them: not while others begin, which keeps the machine busy, nor at the
        end, where the delay is lowered."""
        since, until = max(self._late(host)[0] for host in WEB) + 1, min(self._late(host)[-1] for host in WEB) - 0.5
        return {host: pinging.mean(since, until) for host, pinging in self._pinging.items()}

    def _late(self, host: str) -> list[float]:
        return [answer.asked for answer in self._pinging[host].answers if answer.ms >= DELAY_MS * 0.9]


def usual_ms() -> dict[str, float]:
    """What a round trip to each host takes; the median, because what a busy machine adds to some would seem to be less
    of a rise later."""
    words = ["ping", "-c", "50", "-i", "0.1"]
    running = {host: subprocess.Popen(at("gw", *words, host), stdout=subprocess.PIPE, text=True) for host in HOSTS}
    said = {host: process.communicate()[0] for host, process in running.items()}
    return {host: statistics.median(map(float, re.findall(r"time=([\d.]+) ms", said[host]))) for host in HOSTS}


def assert_only_web_is_late(before: Mapping[str, float], means: Mapping[str, float]) -> None:
    more = {host: means[host] - before[host] for host in HOSTS}
    assert all(abs(more[host] - DELAY_MS) <= 1 for host in WEB), more
    assert more["db1"] < 1, more


def test_in_the_foreground(furnished: Mapping[str, str]) -> None:
    """`chaosctl inject` holds for its duration: 100 ms more to every web host in the mean, nothing more to db1; inert
    within 1 s after the end, clean within delay + 1 s; then it ends with 0, and every host is as it was."""
    before = usual_ms()

    with Watched() as watched:
        done = subprocess.run([*COMMAND, "--duration", "30s"], capture_output=True, text=True, check=False)
        after = pictures()

    assert_only_web_is_late(before, watched.means())
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "done; every host is clean (3 of 3 proved)")
    assert all(25 < watched.held_s(host) < 30 + 1 for host in WEB)
    assert watched.cleaned_s() < 30 + DELAY_MS / 1000 + 1
    assert watched.lost == set()
    assert after == furnished


def test_detached(fleet: Fleet, furnished: Mapping[str, str]) -> None:
    """`chaosctl inject --detach` says what it started and ends; the fault holds, and ends all the same without it."""
    before = usual_ms()

    with Watched() as watched:
        words = [*COMMAND, "--duration", "12s", "--detach", "-o", "json"]
        started = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        end = fleet.until_over(started["id"])
        after = pictures()

    assert_only_web_is_late(before, watched.means())
    assert (end["state"], {target["state"] for target in end["targets"]}) == ("completed", {"clean"})
    assert all(5 < watched.held_s(host) < 12 + 1 for host in WEB)
    assert watched.cleaned_s() < 12 + DELAY_MS / 1000 + 1
    assert watched.lost == set()
    assert after == furnished


def dropped(host: str) -> list[int]:
    """How many packets each of the owner's filters has dropped."""
    shown = on(host, "sh", "-c", "tc -s filter show dev eth0 egress; tc -s filter show dev eth0 ingress")
    foreign = [part for part in shown.split("filter protocol") if "flower" in part]
    return [int(count) for part in foreign for count in re.findall(r"\(dropped (\d+),", part)]


def test_filters_of_others_work_while_it_holds(fleet: Fleet, furnished: Mapping[str, str]) -> None:
    """What the owner's filters drop is dropped and counted by them, what passes them is delayed, and so it was."""
    experiment = fleet.run(latency("50ms", "web1"))
    before = dropped("web1")

    lost = [ping(address, 3, "web1", 0.02, "-W", "1").received for address in ("10.77.0.1", "fd77::1")]
    late = ping("web1")

    assert lost == [0, 0]
    assert all(now > then for now, then in zip(dropped("web1"), before, strict=True))
    assert 49 <= late.least <= 51
    fleet.end(experiment)
    assert picture("web1") == furnished["web1"]
