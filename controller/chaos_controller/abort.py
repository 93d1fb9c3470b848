"""Ending now. The shortest way: the fence goes up in memory, hosts and store are told at the same time.

Never waits for the store and is never rate-limited; what could not be stored is a warning in the report.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from chaos_protocol.problems import Refused

from chaos_controller import receipts
from chaos_controller.client import HostLostError
from chaos_controller.events import Ordered
from chaos_controller.experiment import Experiment, Row
from chaos_controller.fence import Fence
from chaos_controller.fleet import Fleet
from chaos_controller.receipts import Receipt
from chaos_controller.runner import Live, Runner
from chaos_controller.saver import Saver
from chaos_controller.session import Session
from chaos_controller.states import Ended, TargetState
from chaos_controller.store.records import AbortRecord, AuditRecord
from chaos_controller.tasks import Tasks
from chaos_controller.timing import SECOND, Now

log = logging.getLogger(__name__)
_REMEMBERED = 100
_REPORT_S = 1.0
_STORE_S = 0.5
_TOLD = "told"


@dataclass(frozen=True, slots=True)
class Report:
    """The whole account at one moment."""

    receipts: tuple[Receipt, ...]
    fence_up: bool
    settled: bool
    warnings: tuple[str, ...] = ()


@dataclass
class Account:
    """One abort under way: what it has to end, and who has been told."""

    record: AbortRecord
    ordered_at: int
    of_fleet: bool
    ending: list[tuple[Live, frozenset[str]]] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    stored: bool = False


class Aborts:
    """Everything that ends something before its time goes through here."""

    def __init__(self, fence: Fence, fleet: Fleet, runner: Runner, saver: Saver, tasks: Tasks, now: Now) -> None:
        self._fence = fence
        self._fleet = fleet
        self._runner = runner
        self._saver = saver
        self._tasks = tasks
        self._now = now
        self._accounts: dict[str, Account] = {}

    def everything(self, record: AbortRecord) -> Account:
        """End all there is and let nothing start until it is lifted. The same id again gives the same account."""
        if account := self._accounts.get(record.id):
            return account
        self._fence.put_up(record)
        account = self._open(record, self._runner.experiments, of_fleet=True)
        holding = {row.host for _, row in _rows(account)}
        for session in self._fleet.sessions:
            session.push()
            if session.name not in holding:
                account.told[session.name] = ""
                self._tasks.spawn(self._tell(account, session), f"abort on {session.name}")
        self._end(account)
        self._saver.aborted(record)
        return account

    def one(self, record: AbortRecord, experiment: Experiment) -> Account:
        """End one experiment; nothing stays up."""
        if account := self._accounts.get(record.id):
            return account
        account = self._open(record, [experiment], of_fleet=False)
        self._end(account)
        return account

    def heard(self, host: str, up: Sequence[AbortRecord], lifted: Sequence[str]) -> None:
        """Aborts that a host knows of, ordered while we were away or past us. News end everything here as well.

        A lift that only a host speaks of keeps an id from going up, but does not lower a fence that is up here: that
        takes an operator.
        """
        ours = {record.id for record in self._fence.up}
        self._fence.lift(each for each in lifted if each not in ours)
        for record in up:
            if record.id not in ours and record.id not in self._fence.lifted:
                log.warning("abort %s was ordered directly, heard from %s: %s", record.id, host, record.by)
                self._saver.audit(
                    AuditRecord(self._now(), record.by, f"host {host}", "abort heard", record.id, (), record.reason)
                )
                self.everything(record)

    def _open(self, record: AbortRecord, experiments: Sequence[Experiment], of_fleet: bool) -> Account:
        account = Account(record, self._now(), of_fleet)
        for experiment in experiments:
            open_rows = frozenset(row.injection_id for row in experiment.rows if not row.is_free or not of_fleet)
            if open_rows:
                account.ending.append((self._runner.live(experiment.id) or Live(experiment), open_rows))
        self._accounts[record.id] = account
        for old in list(self._accounts)[:-_REMEMBERED]:
            del self._accounts[old]
        return account

    def _end(self, account: Account) -> None:
        note = f"aborted by {account.record.by}" + (f": {account.record.reason}" if account.record.reason else "")
        for live, _ in account.ending:
            self._runner.feed(live.experiment.id, Ordered(Ended.OPERATOR, note))

        def stored() -> None:
            account.stored = True
            self._runner.changes.tell()

        self._saver.when_stored(stored)

    async def _tell(self, account: Account, session: Session) -> None:
        """A host that holds nothing: it must know all the same that nothing may start."""
        try:
            if session.client is None:
                raise HostLostError(session.offline_why)
            for report in await session.client.abort(account.record):
                if report.id not in {row.injection_id for _, row in self._runner.rows_on(session.name)}:
                    log.warning("abort on %s ended injection %s, unknown here", session.name, report.id)
            account.told[session.name] = _TOLD
        except (HostLostError, Refused) as error:
            account.told[session.name] = f"will be told when it is back ({error})"
        finally:
            self._runner.changes.tell()

    # -- the account -----------------------------------------------------------------------------------------------

    async def reports(self, account: Account) -> AsyncIterator[Report]:
        """The account now and after each change, until every row is proved or over by itself."""
        told: Report | None = None
        while True:
            changed = self._runner.changes.next()
            report = self.report(account)
            if report.settled:
                yield await self._last(account, report)
                return
            if report != told:
                told = report
                yield report
            await self._runner.changes.wait(changed, _REPORT_S, len(report.receipts))

    async def _last(self, account: Account, report: Report) -> Report:
        """The last report waits half a second for the store, and says so if that was not enough."""
        if not account.stored:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._saver.flush(), _STORE_S)
            report = self.report(account, warn=True)
        return report

    def report(self, account: Account, warn: bool = False) -> Report:
        """The account at this moment."""
        rows = _rows(account)
        beats = self._fleet.beats()
        lines = [
            receipts.of_row(
                experiment.id,
                row,
                account.ordered_at,
                row.holds_until(experiment.request.lease_ns, beats.get(row.host)),
                self._fleet.is_online(row.host),
            )
            for experiment, row in rows
        ]
        lines += [receipts.of_host(name, told or "being told", told == _TOLD) for name, told in account.told.items()]
        settled = all(row.is_settled for _, row in rows) and all(account.told.values())
        warnings = [self._saver.warning] if self._saver.warning else []
        if warn and not account.stored and not warnings:
            warnings = ["the abort holds, but is not stored yet"]
        return Report(tuple(sorted(lines, key=_order)), self._fence.is_up, settled, tuple(warnings))


def _rows(account: Account) -> list[tuple[Experiment, Row]]:
    return [
        (live.experiment, row)
        for live, ids in account.ending
        for row in live.experiment.rows
        if row.injection_id in ids
    ]


def _order(receipt: Receipt) -> tuple[str, str]:
    return receipt.host, receipt.injection_id


def unproved(report: Report) -> list[str]:
    """Hosts of which something is not proved clean."""
    proved = (TargetState.CLEAN, TargetState.NEVER_STARTED, TargetState.ACCEPTED)
    return sorted({receipt.host for receipt in report.receipts if receipt.state not in proved})


def summary(account: Account, report: Report, now: int) -> str:
    """What came of it, in a line for the audit log."""
    open_hosts = unproved(report)
    took = f"after {(now - account.ordered_at) / SECOND:.1f}s"
    return f"not proved clean {took}: {', '.join(open_hosts)}" if open_hosts else f"all clean {took}"
