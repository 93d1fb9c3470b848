"""Every call that changes something is written down: who, from where, what, on which hosts, and what came of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from chaos_protocol.problems import Refused
from chaos_protocol.serving import Caller

from chaos_controller.saver import Saver
from chaos_controller.store.records import AuditRecord
from chaos_controller.timing import Now


@dataclass
class Entry:
    """What a call adds to its line while it works."""

    subject: str
    hosts: Sequence[str] = ()
    result: str = "done"


class Auditor:
    """Writes lines; the store gets them soon, nobody waits."""

    def __init__(self, saver: Saver, now: Now) -> None:
        self._saver = saver
        self._now = now

    @contextmanager
    def call(self, caller: Caller, what: str, subject: str = "", hosts: Sequence[str] = ()) -> Iterator[Entry]:
        """One line for the block, whether it succeeds or not."""
        entry = Entry(subject, hosts)
        try:
            yield entry
        except Refused as refused:
            entry.result = f"refused: {refused}"
            raise
        except BaseException as error:
            entry.result = f"failed: {type(error).__name__}"
            raise
        finally:
            self.write(str(caller), caller.address, what, entry.subject, entry.hosts, entry.result)

    def write(self, who: str, origin: str, what: str, subject: str, hosts: Sequence[str], result: str) -> None:
        """One line."""
        self._saver.audit(AuditRecord(self._now(), who, origin, what, subject, tuple(hosts), result))
