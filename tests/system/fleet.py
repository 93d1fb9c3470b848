"""The lab as tests see it: commands on hosts, pings as numbers, pictures of a host, experiments through the API.

Whatever is measured here is measured by ping, tc, ip and /proc. Starting a process is slow in User-mode Linux, so the
API is called in this process, and a picture is one shell.
"""

import os
import re
import select
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from chaos_protocol import calling
from chaos_protocol.identity import AGENT, Credentials, Identity
from chaos_protocol.v1 import agent_pb2, agent_pb2_grpc, faults_pb2
from chaosctl.client import Client
from chaosctl.stop import Stop, Unreachable

HOSTS = os.environ.get("HOSTS", "web1 web2 web3 db1").split()
OVER = ("completed", "aborted", "failed")
PICTURE = """
{
    echo qdisc
    for d in /sys/class/net/*; do echo filter show dev ${d##*/} egress; echo filter show dev ${d##*/} ingress; done
} | tc -force -batch -
ip -d -o link
"""
LAB = Path("/run/lab/hosts")
"""What the daemons of each machine have on disk."""
OPERATOR = Path(os.environ.get("CHAOSCTL_HOME", "/run/lab/operator"))
"""Key and certificate of the lab's operator."""
_PATIENCE_S = 60
_PAUSE_S = 0.02


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


@dataclass(frozen=True)
class Reply:
    """One answer to a ping: when it was asked for (seconds since 1970), its number, how long it took."""

    asked: float
    number: int
    ms: float


class Pinging:
    """Pings that go on while something happens to their target: `with Pinging("web1") as pinging: …`."""

    def __init__(self, target: str, interval: float = 0.05) -> None:
        self.answers: list[Reply] = []
        self._words = ["lab", "on", "gw", "ping", "-n", "-D", "-i", str(interval), target]

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile(mode="w+")
        self._process = subprocess.Popen(self._words, stdout=self._said, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_: object) -> None:
        """Keep every answer so far, in order of asking."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_PATIENCE_S)
        with self._said:
            self._said.seek(0)
            found = re.findall(r"^\[([\d.]+)\].*icmp_seq=(\d+).*time=([\d.]+) ms", self._said.read(), re.MULTILINE)
        answers = [Reply(float(at) - float(ms) / 1000, int(number), float(ms)) for at, number, ms in found]
        self.answers = sorted(answers, key=lambda answer: answer.number)

    @property
    def lost(self) -> set[int]:
        """Numbers of pings without an answer; the last one asked may still have been under way."""
        numbers = {answer.number for answer in self.answers}
        return set(range(1, max(numbers))) - numbers

    def mean(self, since: float, until: float) -> float:
        """Of the answers to what was asked between these moments."""
        return statistics.fmean(answer.ms for answer in self.answers if since <= answer.asked < until)

    def last(self, at_least_ms: float) -> float:
        """When the last ping was asked that took so long; 0 when none did."""
        return max((answer.asked for answer in self.answers if answer.ms >= at_least_ms), default=0.0)


def daemon(host: str) -> int:
    """Process id of a host's agent, or of the controller."""
    return int((LAB / host / "pid").read_text())


def worker(host: str) -> int:
    """Process id of the one worker of a host's agent."""
    (only,) = workers(host)
    return only


def workers(host: str) -> list[int]:
    """Process ids of the workers of a host's agent."""
    parent = daemon(host)
    return [pid for pid, its_parent in _processes() if its_parent == parent]


def _processes() -> list[tuple[int, int]]:
    """Every process with its parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            found.append((int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[1])))
    return found


def kill(*pids: int) -> float:
    """SIGKILL, and wait until they are gone. All are stopped first, so that none sees another's end. When it was."""
    gone = [os.pidfd_open(pid) for pid in pids]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        moment = time.time()
        for pid in pids:
            os.kill(pid, number)
    for descriptor in gone:
        wait_end(descriptor)
    return moment


def wait_end(descriptor: int, seconds: float = _PATIENCE_S) -> None:
    """Wait until the process of a pidfd has ended."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    ended = poll.poll(seconds * 1000)
    os.close(descriptor)
    assert ended, f"it has not ended within {seconds} s"


def wait_until(condition: Callable[[], bool], seconds: float = _PATIENCE_S) -> float:
    """Wait for what sends no event: files, links, processes of others. When it came true."""
    stop_after = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < stop_after, f"it did not come to that within {seconds} s"
        time.sleep(_PAUSE_S)
    return time.time()


def chaosctl(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command line as a person runs it."""
    return subprocess.run(["chaosctl", *words], capture_output=True, text=True, check=False, timeout=2 * _PATIENCE_S)


def chaos_agent(host: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """What a person at a host's console runs."""
    command = ["lab", "on", host, "chaos-agent", "--config", "/etc/chaos-agent/agent.yaml", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)


@contextmanager
def agent_of(host: str, identity: Path = LAB / "controller/state/identity") -> Iterator[agent_pb2_grpc.AgentStub]:
    """The agent of a host, called directly and by default with the controller's certificate."""
    with calling.sync_channel(f"{host}:7070", Credentials.load(identity), Identity("lab", AGENT, host)) as channel:
        yield agent_pb2_grpc.AgentStub(channel)


def journal(host: str) -> list[str]:
    """Ids of what its agent says it may still have to undo."""
    return sorted(path.stem for path in (LAB / host / "state/journal").glob("[!.]*.json"))


def picture(host: str) -> str:
    """Every link, qdisc and filter of a host, as tc and ip print them."""
    return on(host, "sh", "-c", PICTURE)


def pictures() -> dict[str, str]:
    """The same of every host."""
    return {host: picture(host) for host in HOSTS}


def latency(delay: str, hosts: str = "web1", **more: Any) -> dict[str, Any]:
    """An experiment file: keyword arguments are parameters of the fault, or of the experiment."""
    experiment = {"duration": "20s"} | {key: more.pop(key) for key in ("duration", "lease", "start_in") if key in more}
    return {"faults": [{"latency": {"delay": delay, **more}}], "selection": {"hosts": [hosts]}, **experiment}


class Fleet:
    """The lab's controller, spoken to as its operator."""

    def __init__(self) -> None:
        self.client = Client.connect()
        self.as_found = pictures()

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

    def order(self, agent: agent_pb2_grpc.AgentStub, injection_id: str, delay_ms: int = 100) -> agent_pb2.InjectRequest:
        """A start of 60 s that the agent would accept now."""
        fault = faults_pb2.Fault(latency=faults_pb2.Latency(delay_ns=delay_ms * 10**6))
        checked = agent.Check(agent_pb2.CheckRequest(fleet="lab", faults=[fault], duration_ns=60 * 10**9), timeout=10)
        term = int(self.client.status()["term"])
        guard = agent_pb2.Guard(fleet="lab", term=term, generation=checked.generation, tick=checked.tick)
        times = {"duration_ns": 60 * 10**9, "lease_ns": 60 * 10**9}
        return agent_pb2.InjectRequest(id=injection_id, digest="one", fault=fault, guard=guard, **times)

    def refused(self, spec: Mapping[str, Any]) -> list[str]:
        """The problems for which an experiment is refused; nothing may have been started."""
        try:
            self.client.run(spec)
        except Stop as stop:
            return [str(problem) for problem in stop.problems]
        raise AssertionError("it was not refused")

    def wait_online(self, *hosts: str) -> None:
        """Wait until the controller answers and reaches these hosts (all of them, when none are named)."""
        wait_until(lambda: set(hosts or HOSTS) <= self._online())

    def _online(self) -> set[str]:
        try:
            return {host["name"] for host in self.client.hosts()["hosts"] if host["online"]}
        except Unreachable:
            return set()

    def make_whole(self) -> None:
        """Start daemons that a test killed or froze and mend what it cut, so that everything can be made clean."""
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
        for name in re.findall(r"^table bridge cut-(\S+)", tables, re.MULTILINE):
            lab("mend", name)
        for name in ("controller", *HOSTS):
            try:
                os.kill(daemon(name), signal.SIGCONT)
            except ProcessLookupError:
                lab("start", name)
        self.wait_online()
        if self.client.fence()["up"]:
            self.client.lift_fence()

    def make_clean(self) -> None:
        """End what a test left running, so that the next one starts from rest."""
        for running in self.client.experiments()["experiments"]:
            with suppress(Stop):
                self.end(running["id"])


def states(experiment: Mapping[str, Any]) -> set[str]:
    """The states that its targets are in."""
    return {target["state"] for target in experiment["targets"]}
