"""Aborts of the whole fleet. Raised and lifted ids are sets merged by union, so order and repetition do not matter."""

from collections.abc import Iterable

from chaos_controller.store.records import AbortRecord


class Fence:
    """While any abort is up nothing new starts. This is memory: it is asked before every start, and written first."""

    def __init__(self, up: Iterable[AbortRecord] = (), lifted: Iterable[str] = ()) -> None:
        self._up = {record.id: record for record in up}
        self._lifted = dict.fromkeys(lifted)

    @property
    def is_up(self) -> bool:
        return bool(self._up)

    @property
    def up(self) -> tuple[AbortRecord, ...]:
        """Aborts that are up."""
        return tuple(self._up.values())

    @property
    def lifted(self) -> tuple[str, ...]:
        """Ids that were lifted."""
        return tuple(self._lifted)

    def put_up(self, record: AbortRecord) -> bool:
        """Put an abort up; whether that is news. One that was lifted stays lifted."""
        if record.id in self._up or record.id in self._lifted:
            return False
        self._up[record.id] = record
        return True

    def lift(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Lift these; returns those that are newly lifted."""
        new = tuple(each for each in ids if each not in self._lifted)
        for each in new:
            self._up.pop(each, None)
            self._lifted[each] = None
        return new
