"""Writes behind the back of those who act: what changed is stored soon, in order, and again until it succeeds.

Nothing that ends a fault waits for this. A start waits, by `flush`; an acknowledgement too, by `when_stored`.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos_controller.experiment import Experiment, Row
from chaos_controller.store.database import StoreUnavailableError, TermRetiredError
from chaos_controller.store.history import History
from chaos_controller.store.records import AbortRecord, AuditRecord, Records
from chaos_controller.store.thread import StoreThread

log = logging.getLogger(__name__)
_RETRY_S = 1.0


@dataclass
class _Pending:
    """What is not stored yet; of an experiment or a row only the newest state."""

    experiments: dict[str, Experiment] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    aborts: list[AbortRecord] = field(default_factory=list)
    audit: list[AuditRecord] = field(default_factory=list)
    stored: list[Callable[[], None]] = field(default_factory=list)

    def after(self, older: "_Pending") -> "_Pending":
        """Both, the newer state winning."""
        return _Pending(
            older.experiments | self.experiments,
            older.rows | self.rows,
            older.aborts + self.aborts,
            older.audit + self.audit,
            older.stored + self.stored,
        )


class Saver:
    """The one writer of what happens while experiments run."""

    def __init__(self, thread: StoreThread, history: History, records: Records, retired: Callable[[], None]) -> None:
        self._thread = thread
        self._history = history
        self._records = records
        self._retired = retired
        self._pending = _Pending()
        self._work = asyncio.Event()
        self.warning = ""

    def changed(self, experiment: Experiment | None = None, rows: tuple[Row, ...] = ()) -> None:
        """Store this soon."""
        if experiment:
            self._pending.experiments[experiment.id] = experiment
        self._pending.rows.update({row.injection_id: row for row in rows})
        self._work.set()

    def aborted(self, record: AbortRecord) -> None:
        """Store an abort soon; it holds already."""
        self._pending.aborts.append(record)
        self._work.set()

    def audit(self, record: AuditRecord) -> None:
        """Append to the audit log soon."""
        self._pending.audit.append(record)
        self._work.set()

    def when_stored(self, done: Callable[[], None]) -> None:
        """Call `done` when everything told so far is on disk."""
        self._pending.stored.append(done)
        self._work.set()

    async def flush(self) -> None:
        """Wait until everything told so far is on disk."""
        done = asyncio.Event()
        self.when_stored(done.set)
        await done.wait()

    async def run(self) -> None:
        """Store what comes."""
        while True:
            await self._work.wait()
            self._work.clear()
            pending, self._pending = self._pending, _Pending()
            try:
                await self._thread(lambda pending=pending: self._store(pending))  # type: ignore[misc]
            except StoreUnavailableError as error:
                await self._wait_for_store(pending, error)
                continue
            except TermRetiredError:
                self._retired()
                return
            self.warning = ""
            for done in pending.stored:
                done()

    async def _wait_for_store(self, pending: _Pending, error: StoreUnavailableError) -> None:
        if not self.warning:
            log.error("%s; what happens is kept in memory until it can", error)
        self.warning = f"{error}; what happens is kept in memory until it can"
        self._pending = self._pending.after(pending)
        self._work.set()
        await asyncio.sleep(_RETRY_S)

    def _store(self, pending: _Pending) -> None:
        # Each part is forgotten once stored, so that a failure in the middle repeats nothing.
        while pending.aborts:
            self._records.raise_abort(pending.aborts[0])
            pending.aborts.pop(0)
        if pending.experiments or pending.rows:
            self._history.save(pending.experiments.values(), pending.rows.values())
            pending.experiments, pending.rows = {}, {}
        if pending.audit:
            self._records.write_audit(pending.audit)
            pending.audit = []
