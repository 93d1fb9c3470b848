"""Network namespaces of a test's own, joined by veths, measured with ping and tc and not with our code."""

import contextlib
import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run(*words: str) -> str:
    """A command's output; its failure is the test's."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace that stands for a host."""

    name: str

    def run(self, *words: str) -> str:
        return run("ip", "netns", "exec", self.name, *words)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def batch(self, *lines: str) -> None:
        """Lines for `ip -batch`, one process for them all."""
        done = subprocess.run(
            ["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def tc(self, *words: str) -> str:
        return run("tc", "-n", self.name, *words)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread's network is that of the host."""
        with open("/proc/thread-self/ns/net") as home, Path("/run/netns", self.name).open() as there:  # noqa: PTH123
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def picture(self, *interfaces: str) -> str:
        """All that tc and ip show of links, qdiscs and filters, but for ages, counts and the carrier."""
        shown = [self.tc("qdisc", "show"), run("ip", "-n", self.name, "-o", "link", "show")]
        for interface in interfaces:
            shown += [self.tc("filter", "show", "dev", interface, hook) for hook in ("root", "egress", "ingress")]
        return re.sub(r"installed \d+ sec|used \d+ sec|<\S+>|state \S+|direct_packets_stat \d+", "", "\n".join(shown))

    def ping(self, address: str, count: int = 5, *options: str) -> "Pings":
        words = ("ping", "-n", "-c", str(count), "-i", "0.05", "-W", "3", *options, address)
        done = subprocess.run(["ip", "netns", "exec", self.name, *words], capture_output=True, text=True, check=False)
        times = [float(time) for time in re.findall(r"time=([\d.]+) ms", done.stdout)]
        return Pings(times, count - len(times))


@dataclass(frozen=True, slots=True)
class Pings:
    """Round trips in milliseconds, and how many never came back."""

    times_ms: list[float]
    lost: int

    @property
    def median_ms(self) -> float:
        return sorted(self.times_ms)[len(self.times_ms) // 2]


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Namespaces, gone afterwards whatever happened."""
    made = [Host(f"{name}-{os.getpid()}") for name in names]
    with contextlib.ExitStack() as ending:
        for host in made:
            run("ip", "netns", "add", host.name)
            ending.callback(run, "ip", "netns", "del", host.name)
            host.batch("link set lo up")
        yield made


@contextlib.contextmanager
def pair() -> Iterator[tuple[Host, Host]]:
    """`here` and `there`, joined by eth0 on both sides: 10.1.0.1 and 10.1.0.2, fd01::1 and fd01::2."""
    with hosts("here", "there") as (here, there):
        run("ip", "link", "add", "eth0", "netns", here.name, "type", "veth", "peer", "eth0", "netns", there.name)
        for host, number in ((here, 1), (there, 2)):
            host.batch(
                "link set eth0 up",
                f"addr add 10.1.0.{number}/24 dev eth0",
                f"addr add fd01::{number}/64 dev eth0 nodad",
            )
        here.batch("route add default via 10.1.0.2", "route add default via fd01::2")
        yield here, there
