"""Which ports programs listen on, from /proc."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

_LISTENING = "0A"


def listening(tables: Iterator[str] | None = None) -> dict[int, int]:
    """Socket inode to TCP port, both families, of this network namespace."""
    found = {}
    for table in tables if tables is not None else _tables():
        for line in table.splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING:
                found[int(fields[9])] = int(fields[1].rsplit(":", 1)[1], 16)
    return found


def ports_of(program: Callable[[str], bool]) -> set[int]:
    """Ports on which a process listens whose name satisfies `program`."""
    sockets = listening()
    return {sockets[inode] for pid in _pids(program) for inode in _inodes(pid) if inode in sockets}


def _tables() -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        try:
            yield Path("/proc/self/net", name).read_text()
        except OSError:  # a kernel without IPv6
            continue


def _pids(program: Callable[[str], bool]) -> Iterator[str]:
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 -- a Path for each process is dear
        try:
            with open(f"/proc/{pid}/comm") as comm:  # noqa: PTH123
                if program(comm.read().strip()):
                    yield pid
        except OSError:  # it ended meanwhile
            continue


def _inodes(pid: str) -> Iterator[int]:
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield int(target[8:-1])
