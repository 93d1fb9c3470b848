"""The inventory in memory with a session for each host. Labels and addresses live in the store; who is online, here."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from chaos_controller.session import Session
from chaos_controller.store.inventory import HostRecord
from chaos_controller.targets import Candidate
from chaos_controller.tasks import Tasks

log = logging.getLogger(__name__)
MakeSession = Callable[[str, str], Session]


class Fleet:
    """Every enrolled host. Those retired or revoked are kept for the record and not dialled."""

    def __init__(self, tasks: Tasks, make_session: MakeSession) -> None:
        self._tasks = tasks
        self._make_session = make_session
        self._records: dict[str, HostRecord] = {}
        self._sessions: dict[str, Session] = {}
        self._running: dict[str, asyncio.Task[None] | None] = {}

    def put(self, record: HostRecord) -> None:
        """Take up a host, new or changed. A new address or a new enrolment means a new session."""
        known = self._records.get(record.name)
        self._records[record.name] = record
        same = known is not None and (known.address, known.enrolled_at) == (record.address, record.enrolled_at)
        wanted = record.retired_at is None and record.revoked_at is None
        if not wanted or not same:
            self.hang_up(record.name)
        if wanted and record.name not in self._sessions:
            session = self._make_session(record.name, record.address)
            self._sessions[record.name] = session
            self._running[record.name] = self._tasks.spawn(session.run(), f"session {record.name}")

    def hang_up(self, name: str) -> None:
        """Speak to this host no more."""
        session = self._sessions.pop(name, None)
        if session and session.last_heard:
            self._records[name] = replace(self._records[name], last_contact=session.last_heard)
        if task := self._running.pop(name, None):
            task.cancel()

    def record(self, name: str) -> HostRecord | None:
        """What is known of a host, with its last contact."""
        record, session = self._records.get(name), self._sessions.get(name)
        if record and session and session.last_heard:
            return replace(record, last_contact=session.last_heard)
        return record

    def records(self) -> list[HostRecord]:
        """Every host in order of name, retired ones too."""
        return [record for name in sorted(self._records) if (record := self.record(name))]

    def session(self, name: str) -> Session | None:
        """The link to a host that is not retired."""
        return self._sessions.get(name)

    @property
    def sessions(self) -> Iterable[Session]:
        return list(self._sessions.values())

    def is_online(self, name: str) -> bool:
        """Whether the host's stream is open."""
        session = self._sessions.get(name)
        return session is not None and session.is_online

    def beats(self) -> Mapping[str, int]:
        """For each host, when the newest tick that we echoed was read."""
        return {name: session.beat_at for name, session in self._sessions.items()}

    def candidates(self) -> dict[str, Candidate]:
        """Hosts that can be chosen."""
        return {
            record.name: Candidate(record.name, record.id, record.labels)
            for record in self._records.values()
            if record.retired_at is None
        }

    def offline(self) -> dict[str, int]:
        """Hosts that can't be reached, and since when: since they enrolled, if they never were."""
        gone = [record for record in self.records() if record.retired_at is None and not self.is_online(record.name)]
        return {record.name: record.last_contact or record.enrolled_at for record in gone}
