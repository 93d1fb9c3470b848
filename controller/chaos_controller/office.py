"""What operators do to hosts and to people's access: label, retire, accept, tokens, revocation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from chaos_protocol.identity import AGENT
from chaos_protocol.problems import Problem, Refused

from chaos_controller import labels, tokens
from chaos_controller.config import Config
from chaos_controller.fleet import Fleet
from chaos_controller.gate import Gate
from chaos_controller.runner import Runner
from chaos_controller.saver import Saver
from chaos_controller.states import Reason, TargetState
from chaos_controller.store.database import StoreUnavailableError, TermRetiredError
from chaos_controller.store.inventory import HostRecord, Inventory
from chaos_controller.store.thread import StoreThread
from chaos_controller.timing import Now

T = TypeVar("T")


class Desk:
    """Calls to the store whose failure is an answer to the caller."""

    def __init__(self, reading: StoreThread, writing: StoreThread, retired: Callable[[], None]) -> None:
        self._reading = reading
        self._writing = writing
        self._retired = retired

    async def read(self, call: Callable[[], T]) -> T:
        """The result of a read."""
        return await self._mapped(self._reading, call)

    async def write(self, call: Callable[[], T]) -> T:
        """The result of a write."""
        return await self._mapped(self._writing, call)

    async def _mapped(self, thread: StoreThread, call: Callable[[], T]) -> T:
        try:
            return await thread(call)
        except StoreUnavailableError as error:
            raise Refused([Problem("store", "", f"{error}; mend it and try again")], Reason.HOST) from error
        except TermRetiredError:
            self._retired()
            raise Refused([Problem("controller", "", "another one has taken over; ask it")], Reason.STALE) from None


class Office:
    """Changes of the inventory, in the store first and then in memory."""

    def __init__(
        self,
        config: Config,
        ca_pem: bytes,
        desk: Desk,
        inventory: Inventory,
        fleet: Fleet,
        runner: Runner,
        saver: Saver,
        gate: Gate,
        now: Now,
    ) -> None:
        self._config = config
        self._ca_pem = ca_pem
        self._desk = desk
        self._inventory = inventory
        self._fleet = fleet
        self._runner = runner
        self._saver = saver
        self._gate = gate
        self._now = now

    def host(self, name: str) -> HostRecord:
        """An enrolled host by its name."""
        record = self._fleet.record(name)
        if record is None:
            raise Refused([Problem("host", name, "is not enrolled; see `chaosctl hosts`")], Reason.MISSING)
        return record

    async def label(self, name: str, given: Mapping[str, str], remove: Sequence[str]) -> HostRecord:
        """Set and remove labels."""
        record = self.host(name)
        if problems := list(labels.problems_of(given)):
            raise Refused(problems)
        kept = {key: value for key, value in record.labels.items() if key not in remove}
        return await self._change(record, labels={**kept, **given})

    async def retire(self, name: str, reason: str, by: str) -> HostRecord:
        """Take a host out of the fleet and out of every sum; what is not proved clean there is accepted with it."""
        record = self.host(name)
        _require_reason(reason)
        self._refuse_while_active(name)
        retired = await self._change(record, retired_at=self._now(), note=f"retired by {by}: {reason}")
        self._runner.accept(name, by, f"host retired: {reason}")
        return retired

    async def accept(self, name: str, reason: str, by: str) -> list[str]:
        """Answer for what is not proved clean on a host; returns the injections."""
        self.host(name)
        _require_reason(reason)
        self._refuse_while_active(name)
        rows = [row.injection_id for _, row in self._runner.rows_on(name)]
        if not rows:
            raise Refused([Problem("host", name, "has nothing that is not proved clean")], Reason.MISSING)
        self._runner.accept(name, by, reason)
        return rows

    def _refuse_while_active(self, name: str) -> None:
        lively = (TargetState.RESERVED, TargetState.TOLD, TargetState.ACTIVE)
        busy = [each.id for each, row in self._runner.rows_on(name) if row.state in lively]
        if busy:
            remedy = f"is under fault: `chaosctl abort {busy[0]}` first"
            raise Refused([Problem("host", name, remedy)], Reason.LAW)

    async def _change(self, record: HostRecord, **values: object) -> HostRecord:
        await self._desk.write(partial(self._inventory.change_host, record.name, **values))
        changed: HostRecord = replace(record, **values)  # type: ignore[arg-type]
        self._fleet.put(changed)
        return changed

    async def create_token(self, role: str, name: str, given: Mapping[str, str], expires_at: int) -> str:
        """A token's text, to be shown once."""
        token = tokens.make(self._config, self._ca_pem, role, name, given, expires_at)
        await self._desk.write(partial(self._inventory.add_token, token.record))
        return token.text

    async def revoke(self, role: str, name: str) -> list[str]:
        """Revoke every certificate of this role and name, at once and everywhere; returns them."""
        if role not in tokens.ROLES:
            raise Refused([Problem("role", role, f"must be one of {', '.join(tokens.ROLES)}")])
        revoked = await self._desk.write(partial(self._inventory.revoke, role, name, self._now()))
        if not revoked:
            raise Refused([Problem("name", name, f"no {role} of this name has a certificate")], Reason.MISSING)
        if role == AGENT and (record := self._fleet.record(name)):
            await self._change(record, revoked_at=self._now())
        self.shut_out(revoked)
        return revoked

    def shut_out(self, fingerprints: Sequence[str]) -> None:
        """Let these in no more and tell every host."""
        if self._gate.revoke(fingerprints):
            for session in self._fleet.sessions:
                session.push()


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused([Problem("reason", "", "is required: it goes into the audit log")])
