"""The end of every network fault, from its undo alone: by marks, by interface index, by whoever holds the lock.

Filters go first: whoever undoes may not be who can close the gate, and without its filter nothing new is touched.
Then what is inside the engines comes out, then they go, then clsact where it was ours. (Who holds the gate closes it
before, and a packet that comes back from an engine needs no filter.)
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from chaos_agent.contract import Reverted, Undo
from chaos_agent.host.netlink import KernelRefused, Netlink
from chaos_agent.host.tc import Filter
from chaos_agent.network import divert, marks, netem
from chaos_agent.network.clsact import ClsactRecord
from chaos_agent.network.engine import Engine

_READ_APART_S, _READINGS = 0.02, 2
_GRACE_NS = 1_000_000_000
_LONGEST_DELAY_NS = 60_000_000_000


def revert(
    undo: Undo, pause: Callable[[float], None] = time.sleep, clock: Callable[[], int] = time.monotonic_ns
) -> Reverted:
    """Idempotent. What can't be undone is named; what can is undone all the same."""
    injection_id = str(undo["id"])
    try:
        with Netlink() as netlink:
            return _Undoing(netlink, injection_id, undo, pause, clock).run()
    except KernelRefused as refused:
        return Reverted("unknown", str(refused))


class _Undoing:
    def __init__(
        self, netlink: Netlink, injection_id: str, undo: Undo, pause: Callable[[float], None], clock: Callable[[], int]
    ) -> None:
        self._netlink, self._id, self._undo, self._pause, self._clock = netlink, injection_id, undo, pause, clock
        self._legs = cast(Sequence[Mapping[str, object]], undo.get("legs", ()))
        self._record = ClsactRecord(Path(str(undo.get("runtime_folder", "/run/chaos-agent"))))
        self._failures: list[str] = []

    def run(self) -> Reverted:
        filters, engines = self._filters(), netem.find(self._netlink, self._id)
        for found in filters:
            self._try(functools.partial(divert.detach, self._netlink, self._record, found, self._id))
        dropped = self._drain(engines) if engines else 0
        for engine in engines:
            self._try(engine.end)
        left = self._leave_clsact({found.index for found in filters})
        return self._answer(bool(filters or engines), left, dropped)

    def _filters(self) -> list[Filter]:
        indexes = [int(cast(int, leg["index"])) for leg in self._legs]
        return marks.filters(self._netlink, self._id, indexes)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except KernelRefused as refused:
            self._failures.append(str(refused))

    def _drain(self, engines: Sequence[Engine]) -> int:
        """Wait until nothing is inside, seen twice; what remains after the longest it can take is lost."""
        delay = cast(int, self._undo.get("delay_ns", _LONGEST_DELAY_NS)) + cast(int, self._undo.get("jitter_ns", 0))
        give_up = self._clock() + delay + _GRACE_NS
        empty = 0
        while True:
            inside = sum(engine.inside() for engine in engines)
            empty = 0 if inside else empty + 1
            if empty == _READINGS:
                return 0
            if self._clock() >= give_up:
                return inside
            self._pause(_READ_APART_S)

    def _leave_clsact(self, found: set[int]) -> str:
        at_plan = {cast(int, leg["index"]): bool(leg.get("makes_clsact")) for leg in self._legs}
        doubts = []
        for index in sorted(found | at_plan.keys()):
            try:
                doubts.append(self._record.leave(self._netlink, index, self._id, at_plan.get(index, False)))
            except KernelRefused as refused:
                self._failures.append(str(refused))
        return "; ".join(filter(None, doubts))

    def _answer(self, found: bool, doubts: str, dropped: int) -> Reverted:
        remaining = [f"filter of interface {one.index}" for one in self._filters()]
        remaining += [f"ifb {link.name}" for link in marks.devices(self._netlink, self._id)]
        if remaining:
            return Reverted("still present", "; ".join([*remaining, *self._failures, *filter(None, [doubts])]), dropped)
        left = "; ".join(filter(None, [doubts, *self._failures]))
        return Reverted("reverted" if found or left else "no trace", left, dropped)
