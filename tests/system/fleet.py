"""The lab as tests see it: commands on hosts, pings as numbers, pictures of a host, experiments through the API.

Whatever is measured here is measured by ping, tc, ip and /proc. Starting a process is slow in User-mode Linux, so the
API is called in this process, and a picture is one shell.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chaosctl.client import Client
from chaosctl.stop import Stop

HOSTS = os.environ.get("HOSTS", "web1 web2 web3 db1").split()
OVER = ("completed", "aborted", "failed")
PICTURE = """
tc qdisc
ip -d -o link
for d in $(ls /sys/class/net); do tc filter show dev $d egress; tc filter show dev $d ingress; done
"""
_PATIENCE_S = 60


@dataclass(frozen=True)
class Pings:
    """What ping said. Milliseconds."""

    sent: int
    received: int
    mean: float
    least: float
    most: float


def on(host: str, *command: str, timeout: float = _PATIENCE_S) -> str:
    """Run a command on a host; its output. A failure is an error."""
    return subprocess.run(
        ["lab", "on", host, *command], check=True, capture_output=True, text=True, timeout=timeout
    ).stdout


def spawn(host: str, *command: str) -> "subprocess.Popen[str]":
    """Start a command on a host."""
    return subprocess.Popen(["lab", "on", host, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lab(*words: str) -> str:
    """`lab pid web1`, `lab cut web1`, ..."""
    return subprocess.run(["lab", *words], check=True, capture_output=True, text=True, timeout=_PATIENCE_S).stdout


def read_pings(said: str) -> Pings:
    """The summary that ping prints."""
    counted = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    timed = re.search(r"= ([\d.]+)/([\d.]+)/([\d.]+)/", said)
    assert counted, said
    least, mean, most = map(float, timed.groups()) if timed else (0.0, 0.0, 0.0)
    return Pings(int(counted[1]), int(counted[2]), mean, least, most)


def ping(target: str, count: int = 10, since: str = "gw", interval: float = 0.02, *more: str) -> Pings:
    """Ping `target` from the bystander (or another host)."""
    command = ["ping", "-q", "-c", str(count), "-i", str(interval), "-W", "3", *more, target]
    done = subprocess.run(["lab", "on", since, *command], capture_output=True, text=True, check=False, timeout=120)
    return read_pings(done.stdout + done.stderr)


def picture(host: str) -> str:
    """Every link, qdisc and filter of a host, as tc and ip print them."""
    return on(host, "sh", "-c", PICTURE)


def latency(delay: str, hosts: str = "web1", **more: Any) -> dict[str, Any]:
    """An experiment file: keyword arguments are parameters of the fault, or of the experiment."""
    experiment = {"duration": "20s"} | {key: more.pop(key) for key in ("duration", "lease", "start_in") if key in more}
    return {"faults": [{"latency": {"delay": delay, **more}}], "selection": {"hosts": [hosts]}, **experiment}


class Fleet:
    """The lab's controller, spoken to as its operator."""

    def __init__(self) -> None:
        self.client = Client.connect()

    def run(self, spec: Mapping[str, Any], keepalive: str = "0s") -> str:
        """Start an experiment and wait until every target is active (or it is over); its id."""
        experiment = self.client.run(spec, keepalive=keepalive)["experiment"]
        self.until(experiment["id"], lambda now: now["state"] in OVER or states(now) == {"active"})
        return str(experiment["id"])

    def until(self, experiment_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Follow an experiment until the condition holds of it."""
        stream = self.client.watch(experiment_id)
        for now in stream:
            if condition(now):
                stream.close()
                return now
        raise AssertionError(f"{experiment_id} ended before it came to that")

    def until_over(self, experiment_id: str) -> dict[str, Any]:
        """The experiment with every host's end."""
        return self.until(experiment_id, lambda now: now["state"] in OVER)

    def end(self, experiment_id: str) -> dict[str, Any]:
        """Abort it and wait for the end."""
        for _ in self.client.abort(experiment_id=experiment_id):
            pass
        return self.until_over(experiment_id)

    def refused(self, spec: Mapping[str, Any]) -> list[str]:
        """The problems for which an experiment is refused; nothing may have been started."""
        try:
            self.client.run(spec)
        except Stop as stop:
            return [str(problem) for problem in stop.problems]
        raise AssertionError("it was not refused")

    def make_clean(self) -> None:
        """End what a test left running, so that the next one starts from rest."""
        for running in self.client.experiments()["experiments"]:
            with suppress(Stop):
                self.end(running["id"])


def states(experiment: Mapping[str, Any]) -> set[str]:
    """The states that its targets are in."""
    return {target["state"] for target in experiment["targets"]}
