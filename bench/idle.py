"""An idle agent with the controller's Hold open: memory and processor, by /proc; beside it bare servers of grpc.aio.

HOSTS=web1 KERNEL=host make lab RUN='python -m bench.idle'
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from chaos_protocol.identity import AGENT, Credentials, Identity
from chaosctl import settings

from bench.tables import conditions, table
from tests.system.fleet import lab

WINDOW_S = 120
SETTLE_S = 10
STATE = Path("/run/lab/hosts/web1/state/identity")
PORTS = {"bare grpc.aio server, mutual TLS": (7991, []), "the same, without OpenSSL": (7992, ["lean"])}


@dataclass(frozen=True)
class Footprint:
    """KiB, and nanoseconds on a processor."""

    resident: int
    private: int
    shared_files: int
    threads: int
    ran_ns: int


def footprint(pid: int) -> Footprint:
    """As the kernel counts it."""
    process = Path("/proc", str(pid))
    said = [line.split() for line in (process / "smaps_rollup").read_text().splitlines()[1:]]
    memory = {words[0].rstrip(":"): int(words[1]) for words in said}
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    threads = list((process / "task").iterdir())
    return Footprint(
        resident=memory["Rss"],
        private=memory["Private_Clean"] + memory["Private_Dirty"],
        shared_files=int(status["RssFile"].split()[0]),
        threads=len(threads),
        ran_ns=sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads),
    )


@contextmanager
def bare(port: int, more: list[str]) -> Iterator[int]:
    """A bare server with the lab's own keys and one stream open to it; its process id."""
    command = [sys.executable, "-m", "bench.bare", str(STATE), str(port), *more]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout and server.stdout.readline() == "ready\n"
        keys = Credentials.load(settings.home_of())
        secret = grpc.ssl_channel_credentials(keys.ca, keys.key, keys.certificate)
        name = Identity("lab", AGENT, "web1").server_name
        with grpc.secure_channel(f"[::1]:{port}", secret, [("grpc.ssl_target_name_override", name)]) as channel:
            hold: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/bench.Bare/Hold")
            stream = hold(iter([b"hello"]))
            assert next(stream) == b"tick"
            yield server.pid
    finally:
        server.kill()
        server.communicate()


def main() -> None:
    with ExitStack() as stack:
        processes = {"chaos-agent": int(lab("pid", "web1"))}
        processes |= {name: stack.enter_context(bare(port, more)) for name, (port, more) in PORTS.items()}
        time.sleep(SETTLE_S)
        before = {name: footprint(pid) for name, pid in processes.items()}
        time.sleep(WINDOW_S)
        after = {name: footprint(pid) for name, pid in processes.items()}
    conditions(
        f"Python {sys.version.split()[0]}, grpcio {grpc.__version__}; all at the same time, over {WINDOW_S} s",
        "private: what would be free if it ended; the rest are pages of files that others may share",
    )
    rows = []
    for name, now in after.items():
        share = (now.ran_ns - before[name].ran_ns) / (WINDOW_S * 1e9)
        rows.append((name, _mib(now.resident), _mib(now.private), _mib(now.shared_files), now.threads, f"{share:.3%}"))
    table(["one stream open", "resident, MiB", "private, MiB", "of files, MiB", "threads", "CPU"], rows)


def _mib(kib: int) -> str:
    return f"{kib / 1024:.1f}"


if __name__ == "__main__":
    main()
