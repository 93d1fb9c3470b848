"""Whose clsact it is. The kernel can't say, so a record by the interface's index does.

A makes it, B joins, A leaves, B leaves, and only then, only if it was made by one of us and holds nothing, is it taken
away. In doubt it stays."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from chaos_agent.host import clock, tc
from chaos_agent.host.locks import Lock
from chaos_agent.host.netlink import KernelRefused, Netlink
from chaos_agent.network import marks

_PATIENCE_S = 2.0


class ClsactRecord:
    """One file an interface, below `folder`, on a file system that is empty after a start (/run)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "clsact"

    def join(self, netlink: Netlink, index: int, injection_id: str) -> None:
        """Have a clsact there, ours or another's. Hold the lock."""
        if present(netlink, index):
            return
        record = self._path(index)
        # Before the making: what is not made is forgotten in `leave`. Its maker has nothing in it until `joined`: one
        # that dies between the two leaves an empty clsact, and that is ours to take away.
        record.write_text(f"{clock.boot_id()}\n{injection_id}\n")
        try:
            tc.add_clsact(netlink, index)
        except KernelRefused as refused:
            record.unlink(missing_ok=True)
            if refused.errno != errno.EEXIST:
                raise

    def joined(self, index: int, injection_id: str) -> None:
        """Note that our filter is in: if it is gone later, then clsact may be another's as well. Hold the lock."""
        lines = self._lines(index)
        if injection_id in lines:
            record = self._path(index)
            draft = record.with_name(f".{record.name}.new")
            draft.write_text("".join(f"{line}\n" for line in lines if line != injection_id))
            draft.rename(record)

    def leaving(self, index: int, injection_id: str) -> None:
        """Note that our filter is about to go, so that one who comes after a crash knows that it was there."""
        with contextlib.suppress(OSError):
            if self._lines(index):
                with self._path(index).open("a") as record:
                    record.write(injection_id + "\n")

    def leave(self, netlink: Netlink, index: int, injection_id: str, expected: bool) -> str:
        """Take clsact away if it is ours and empty. What is left although it was `expected` to go, in words."""
        if not present(netlink, index):
            self._forget(index)
            return ""
        if not (expected or self._lines(index)):
            return ""  # it was there before us
        try:
            with self.lock():
                left = self._leave(netlink, index, injection_id)
        except OSError:
            left = "its record can't be locked"
        return f"clsact of interface {index}: {left}" if left else ""

    def _leave(self, netlink: Netlink, index: int, injection_id: str) -> str:
        lines = self._lines(index)
        if not lines:
            return "no record says that we made it"
        if injection_id not in lines:
            return "it was made anew after ours"
        if not is_empty(netlink, index):
            return "" if marks.anything(netlink, index) else "others' filters are in it"
        tc.delete_clsact(netlink, index)
        self._forget(index)
        return ""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Between injections: what is joined here is not taken away there at the same moment."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(self._folder / "lock")
        if not lock.take_within(_PATIENCE_S):
            raise BlockingIOError("the record of clsact is locked")
        with lock:
            yield

    def _path(self, index: int) -> Path:
        return self._folder / f"{Path('/proc/self/ns/net').stat().st_ino}.{index}"

    def _lines(self, index: int) -> list[str]:
        """Who left since it was made, or has not come in yet; empty when it is not ours."""
        try:
            lines = self._path(index).read_text().splitlines()
        except OSError:
            return []
        return lines if lines[:1] == [clock.boot_id()] else []

    def _forget(self, index: int) -> None:
        with contextlib.suppress(OSError):
            self._path(index).unlink(missing_ok=True)


def present(netlink: Netlink, index: int) -> bool:
    return any(qdisc.kind in ("clsact", "ingress") for qdisc in tc.qdiscs(netlink, index))


def is_empty(netlink: Netlink, index: int) -> bool:
    return not any(tc.filters(netlink, index, hook) or any(tc.chains(netlink, index, hook))
                   for hook in (tc.EGRESS, tc.INGRESS))  # fmt: skip
