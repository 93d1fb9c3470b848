"""The agent's memory on disk: journal (what must be undone), history (what was), standing (what may start).

One file an injection, so that a torn or foreign file spoils nothing but itself. An end is durable in history before
its journal entry goes.
"""

from collections.abc import Iterator
from pathlib import Path

from chaos_protocol.problems import Problem, Refused

from chaos_agent.host import files
from chaos_agent.host.locks import Lock
from chaos_agent.records import Record
from chaos_agent.standing import Standing

_UNREADABLE = "can't be read; look at it, then remove it to start with nothing up"
_KEPT_NS = 24 * 3600 * 10**9


class Ledger:
    """All durable state in one folder of root's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal = folder / "journal"
        self._history = folder / "history"
        self._results = folder / "results"
        self._locks = folder / "locks"
        self._standing = folder / "standing.json"
        for each in (folder, self._journal, self._history, self._results, self._locks):
            files.make_private(each)

    def daemon_lock(self) -> Lock:
        """Held by the one daemon of this folder."""
        return Lock(self.folder / "daemon.lock")

    def lock(self, injection_id: str) -> Lock:
        """Held by whoever works on the injection."""
        return Lock(self._locks / injection_id)

    def enter(self, record: Record) -> None:
        """Write the journal entry; when this returns the host may be touched."""
        files.write_durably(self._journal / f"{record.id}.json", record.as_json())

    def entries(self) -> Iterator[tuple[str, Record | None]]:
        """Ids in the journal with their records; None for one that can't be read."""
        for path in sorted(self._journal.glob("[!.]*.json")):
            yield path.stem, _record_in(path)

    def result(self, injection_id: str) -> dict[str, object] | None:
        """What the worker wrote down about its end before it left."""
        return files.read_json(self._results / f"{injection_id}.json")

    def write_result(self, injection_id: str, result: dict[str, object]) -> None:
        files.write_durably(self._results / f"{injection_id}.json", result)

    def close(self, record: Record) -> None:
        """History first, then the journal entry goes."""
        self.write_history(record)
        files.remove_durably(self._journal / f"{record.id}.json")
        (self._results / f"{record.id}.json").unlink(missing_ok=True)
        (self._locks / record.id).unlink(missing_ok=True)

    def write_history(self, record: Record) -> None:
        files.write_durably(self._history / f"{record.id}.json", record.as_json())

    def history(self) -> dict[str, Record]:
        """Every end that is still kept, by id. What is no record counts as an end: it must not start again."""
        return {path.stem: _record_in(path) or Record(path.stem) for path in self._history.glob("[!.]*.json")}

    def forget_old(self, record: Record, now_unix_ns: int) -> bool:
        """Drop a record from history when it was acknowledged and is old enough. Whether it was dropped."""
        if not record.acknowledged or now_unix_ns - record.clean_unix_ns < _KEPT_NS:
            return False
        files.remove_durably(self._history / f"{record.id}.json")
        return True

    def standing(self) -> Standing:
        """The standing as last written. One that can't be read is refused: its aborts may have been up."""
        if not self._standing.exists():
            return Standing()
        content = files.read_json(self._standing)
        if content is None:
            raise Refused([Problem("standing", str(self._standing), _UNREADABLE)])
        try:
            return Standing.from_json(content)
        except (KeyError, TypeError, ValueError):
            raise Refused([Problem("standing", str(self._standing), _UNREADABLE)]) from None

    def write_standing(self, standing: Standing) -> None:
        files.write_durably(self._standing, standing.as_json())


def _record_in(path: Path) -> Record | None:
    content = files.read_json(path)
    try:
        record = Record.from_json(content) if content else None
    except TypeError:
        return None
    return record if record and record.id == path.stem else None
