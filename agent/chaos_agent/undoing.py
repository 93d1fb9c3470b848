"""The undo of an injection from its record alone, by whoever holds its lock: daemon, recovery or a person's command."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from chaos_agent import kinds
from chaos_agent.contract import Reverted, Scans, Undo
from chaos_agent.host import clock
from chaos_agent.ledger import Ledger
from chaos_agent.records import FAILED, REVERTED, Ended, Outcome, Record

log = logging.getLogger(__name__)
PATIENCE_S = 5.0
"""How long a worker may go on with its own undo before it is killed and ours begins."""


class UnrecordedError(OSError):
    """Nothing of the injection is on the host any more, but that can't be written down."""


def leftovers(ledger: Ledger) -> list[Record]:
    """What the journal holds, and what bears our name in the kernel without being in it."""
    found = {name: record or Record(name) for name, record in ledger.entries()}
    for _, name, _ in marks():
        found.setdefault(name, Record(name))
    return list(found.values())


def undo(ledger: Ledger, record: Record, ended: str) -> Record:
    """Make sure that nothing of an injection is on the host, and close its record. Blocks; safe to repeat.

    What its worker proved and wrote down is taken over; else everything is undone from the record. `UnrecordedError`
    when the disk refuses the record; the undo is done all the same.
    """
    with ledger.lock(record.id) as lock:
        try:
            lock.seize(PATIENCE_S)
        except TimeoutError:
            raise
        except OSError:
            # Without a file nobody else has the lock either, and a disk's trouble must keep no fault on the host.
            log.exception("lock of %s can't be had; going on without", record.id)
        done = _with_result(record, ledger.result(record.id))
        if done.outcome not in Outcome.PROVED:
            done = _by_ourselves(done, ended)
        if done.outcome in Outcome.PROVED:
            try:
                ledger.close(done)
            except OSError as error:
                raise UnrecordedError(f"{done.outcome}, but that can't be written down: {error}") from error
    return done


def _with_result(record: Record, result: Mapping[str, object] | None) -> Record:
    try:
        return Record.from_json({**record.as_json(), **result, "id": record.id}) if result else record
    except TypeError:
        return record  # no result of a worker's: we look ourselves


def _by_ourselves(record: Record, ended: str) -> Record:
    if record.kind and record.boot_id != clock.boot_id():
        ended = Ended.HOST_RESTART
    try:
        reverted = kinds.load(record.kind).revert(record.undo) if record.kind else _by_marks(record.id)
    except Exception as error:
        # Whatever goes wrong here must be told and tried again, not end the daemon that tries.
        log.exception("undo of %s failed", record.id)
        reverted = Reverted("still present", f"{type(error).__name__}: {error}")
    return finished(record, ended, reverted)


def _by_marks(injection_id: str) -> Reverted:
    """The journal entry is lost: go by what in the kernel bears the injection's name."""
    found = [(kind, undo) for kind, marked, undo in marks() if marked == injection_id]
    results = [kinds.load(kind).revert(undo) for kind, undo in found]
    unclean = [result for result in results if result.result not in ("reverted", "already clean", "no trace")]
    return unclean[0] if unclean else Reverted("reverted" if results else "no trace")


def marks() -> list[tuple[str, str, Undo]]:
    """Kind, injection id and undo of everything on this host that bears our name."""
    found = []
    for kind in kinds.names():
        fault = kinds.load(kind)
        if issubclass(fault, Scans):
            found += [(kind, injection_id, undo) for injection_id, undo in fault.scan()]
    return found


def finished(record: Record, ended: str, reverted: Reverted) -> Record:
    """The record with the end that an undo found. What could not be proved clean is failed."""
    now = clock.tick_ns()
    outcome = reverted.result.replace(" ", "-")
    proved = outcome in Outcome.PROVED
    failed = not proved or ended in (Ended.FAILED, Ended.NO_EFFECT, Ended.DRIFT)
    return replace(
        record,
        state=FAILED if failed else REVERTED,
        ended=record.ended or ended,
        outcome=outcome,
        left=reverted.left or record.left,
        inert_tick=record.inert_tick or now,
        inert_unix_ns=record.inert_unix_ns or clock.unix_ns_at(now),
        clean_tick=now if proved else 0,
        clean_unix_ns=clock.unix_ns_at(now) if proved else 0,
    )
