"""What a fault on one port costs everybody else on the interface: throughput and time a packet.

    AGENTS=none make lab RUN='python -m bench.bystander'                User-mode Linux: netem, BPF interpreted
    AGENTS=none KERNEL=host make lab RUN='python -m bench.bystander'    this machine's kernel, BPF compiled

Namespaces joined by veths, where a packet costs least and whatever is added shows most; each state has a veth of its
own, and they take turns in slices of milliseconds, because the machine's speed drifts. The fault is put in by the
agent's own parts, as a worker does it. Where the kernel has no netem, ours redirects to a plain queue and the tree of
`tc` has htb instead of prio and netem: neither is ever entered by the bystander's packets.
"""

import ctypes
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median, quantiles

from bench.tables import conditions, in_uml, table
from tests.fakes.fifo_engine import FifoEngine
from tests.fakes.latencies import Latencies
from tests.fakes.network import Host, hosts, run

ROUNDS = 200
SLICE_S = 0.05
IMPAIRED, BYSTANDER = 5432, 9001
SIZES = {"64 bytes": 64 - 42, "1514 bytes": 1514 - 42}  # frames, less the headers of Ethernet, IPv4 and UDP
_BURST = 64
_WINDOW = 2**20
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33

Pair = tuple[Host, Host]
State = Callable[[Host, ExitStack], None]

NETEM_TREE = (
    "qdisc add dev eth0 root handle 1: prio",
    "qdisc add dev eth0 parent 1:3 handle 30: netem delay 100ms",
)
HTB_TREE = (
    "qdisc add dev eth0 root handle 1: htb default 1",
    "class add dev eth0 parent 1: classid 1:1 htb rate 1000gbit quantum 60000",
    "class add dev eth0 parent 1: classid 1:3 htb rate 1000gbit quantum 60000",
)
U32 = f"filter add dev eth0 parent 1: protocol ip u32 match ip dport {IMPAIRED} 0xffff flowid 1:3"


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vectors_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    )


# User-mode Linux counts a thread's time in ticks of 10 ms; there it has the one processor to itself.
_clock = time.perf_counter_ns if in_uml() else time.thread_time_ns
_libc = ctypes.CDLL(None, use_errno=True)


class Sender:
    """Sends datagrams of one size as fast as the kernel takes them, hundreds a system call."""

    def __init__(self, here: Host, there: Host, octets: int) -> None:
        with there.inside():
            # Nobody reads: what comes is thrown away at the socket, always at the same cost.
            self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._sink.bind(("10.1.0.2", 0))
        with here.inside():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(self._sink.getsockname())
        payload = ctypes.create_string_buffer(octets)
        self._vector = _Vector(ctypes.addressof(payload), octets)
        self._payload = payload
        self._headers = (_Header * _BURST)(
            *(_Header(vectors=ctypes.pointer(self._vector), vectors_length=1) for _ in range(_BURST))
        )

    def cost_ns(self) -> float:
        """Time a packet: the way out, through the veth, and in on the other side."""
        number, sent = self._socket.fileno(), 0
        until, before = time.monotonic() + SLICE_S, _clock()
        while not sent or time.monotonic() < until:
            done = _libc.sendmmsg(number, self._headers, _BURST, 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
        return (_clock() - before) / sent


class Stream:
    """TCP, both ends served by this thread in turns, buffers of a fixed size, a new connection each time: what it
    carries depends neither on scheduling nor on what an earlier connection had grown to."""

    def __init__(self, here: Host, there: Host) -> None:
        self._here, self._there = here, there
        self._out, self._in = bytes(_WINDOW // 4), bytearray(_WINDOW)

    def mbit(self) -> float:
        """What arrives for each second of the processor."""
        near, far = self._connect()
        with near, far:
            self._carry(near, far, SLICE_S / 4)
            return self._carry(near, far, SLICE_S)

    def _connect(self) -> tuple[socket.socket, socket.socket]:
        with self._there.inside(), socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WINDOW)
            listener.bind(("10.1.0.2", 0))
            listener.listen()
            with self._here.inside():
                near = socket.socket()
            near.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _WINDOW)
            near.connect(listener.getsockname())
            far, _ = listener.accept()
        near.setblocking(False)
        far.setblocking(False)
        return near, far

    def _carry(self, near: socket.socket, far: socket.socket, lasts_s: float) -> float:
        octets, until, before = 0, time.monotonic() + lasts_s, _clock()
        while not octets or time.monotonic() < until:
            with suppress(BlockingIOError):
                near.send(self._out)
            with suppress(BlockingIOError):
                octets += far.recv_into(self._in)
        return octets * 8e3 / (_clock() - before)


def has_netem(host: Host) -> bool:
    """Tried, as the lab does."""
    try:
        host.tc("qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
    except AssertionError:
        return False
    host.tc("qdisc", "del", "dev", "lo", "root")
    return True


def clean(_: Host, __: ExitStack) -> None:
    """Nothing on the interface."""


def ours(netem: bool, faults: int, folder: Path) -> State:
    """`faults` latencies, each on a port of its own."""

    def impair(here: Host, stack: ExitStack) -> None:
        latencies = Latencies(folder) if netem else Latencies(folder, FifoEngine.start)
        stack.callback(latencies.end)
        for number in range(faults):
            latencies.inject(here, 100, lasts_s=3600, to_port=[{"first": IMPAIRED + number}], interface=["eth0"])

    return impair


def tc_tree(netem: bool) -> State:
    """As users of tc do it: a tree at the root, a filter that leads the impaired port into one of its bands."""

    def impair(here: Host, _: ExitStack) -> None:
        for line in (*(NETEM_TREE if netem else HTB_TREE), U32):
            here.tc(*line.split())

    return impair


def joined(number: int, stack: ExitStack) -> Pair:
    """Two namespaces with a veth between them, as `pair` makes one."""
    here, there = stack.enter_context(hosts(f"here{number}", f"there{number}"))
    run("ip", "link", "add", "eth0", "netns", here.name, "type", "veth", "peer", "eth0", "netns", there.name)
    for host, last in ((here, 1), (there, 2)):
        host.batch("link set eth0 up", f"addr add 10.1.0.{last}/24 dev eth0")
    return here, there


def measure(subjects: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Every state in each round, each round beginning with another, so that nobody always comes first."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name].append(subjects[name]())
    return found


def shares(found: dict[str, list[float]], name: str, more_is_better: bool) -> str:
    """Percent of what the clean interface did in the same round: the median, and the middle half of the rounds."""
    each = zip(found["clean"], found[name], strict=True)
    ratios = [100 * (other / best if more_is_better else best / other) for best, other in each]
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.1f} % ({low:.1f}–{high:.1f})"


def main() -> None:
    conditions(
        "veths between namespaces, latency of 100 ms on TCP and UDP port 5432; the bystander uses another port",
        f"{ROUNDS} rounds of {SLICE_S * 1000:.0f} ms of each, all states in turns; medians; % of the clean figure of "
        "the same round, with the middle half of the rounds",
        "a packet's cost is the processor's time from the system call to the socket on the other side",
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pairs: dict[str, Pair] = {"clean": joined(0, stack)}
        netem = has_netem(pairs["clean"][0])
        states = {
            "clean": clean,
            "clean, another veth": clean,  # what is left of a difference here is the measurement's own
            "ours, one fault": ours(netem, 1, folder),
            "ours, four faults": ours(netem, 4, folder),
            f"tc: root {'prio + netem' if netem else 'htb'} + u32": tc_tree(netem),
        }
        for number, (name, impair) in enumerate(states.items()):
            pairs.setdefault(name, pairs["clean"] if not number else joined(number, stack))
            impair(pairs[name][0], stack)
        tcp = measure({name: Stream(*of).mbit for name, of in pairs.items()}, ROUNDS)
        udp = {
            size: measure({name: Sender(*of, octets).cost_ns for name, of in pairs.items()}, ROUNDS)
            for size, octets in SIZES.items()
        }
    head = ["", "TCP, Mbit/s a processor", "% of clean"]
    for size in SIZES:
        head += [f"UDP {size}, ns a packet", "% of clean"]
    rows = []
    for name in states:
        row = [name, f"{median(tcp[name]):.0f}", shares(tcp, name, True)]
        for found in udp.values():
            row += [f"{median(found[name]):.0f}", shares(found, name, False)]
        rows.append(row)
    table(head, rows)


if __name__ == "__main__":
    main()
