"""Whether a fault can be had on this host: its law, its abilities, its names, and what holds the same thing already."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos_protocol.problems import Problem

from chaos_agent import kinds
from chaos_agent.contract import Claim, Settings, Verdict
from chaos_agent.host import clock
from chaos_agent.law import Law
from chaos_agent.records import Record
from chaos_agent.standing import Guard

HOST, LAW, OVERLAP, INPUT = "host", "law", "overlap", "input"


class Denied(Exception):
    """A start or check that is refused. `kind` is one of the words here and in `standing`."""

    def __init__(self, kind: str, problems: Iterable[Problem]) -> None:
        self.kind = kind
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Start:
    """A start as ordered by a controller."""

    id: str
    digest: str
    kind: str
    fault: Mapping[str, Any]
    parameters: Mapping[str, Any]
    duration_ns: int
    lease_ns: int
    guard: Guard

    def record(self, verdict: Verdict, accepted: int) -> Record:
        """The record of this start, accepted at that tick: deadline and lease are counted from there."""
        return Record(
            id=self.id,
            digest=self.digest,
            kind=self.kind,
            fault=self.fault,
            parameters=self.parameters,
            undo=verdict.undo,
            facts=verdict.facts,
            boot_id=clock.boot_id(),
            accepted_tick=accepted,
            deadline_tick=accepted + self.duration_ns,
            lease_tick=accepted + self.lease_ns,
            lease_ns=self.lease_ns,
        )


class Examiner:
    """Looks and touches nothing. `holding` tells the claims of live injections, each with the id that has it."""

    def __init__(self, law: Law, settings: Settings, holding: Callable[[], Iterable[tuple[str, Claim]]]) -> None:
        self._law = law
        self._settings = settings
        self._holding = holding

    async def examine(self, injection_id: str, kind: str, parameters: Mapping[str, Any], duration_ns: int) -> Verdict:
        """What `check` of the fault found; `Denied` with the problems."""
        try:
            fault = kinds.load(kind)
        except KeyError:
            remedy = f"this agent has {', '.join(kinds.names())}"
            raise Denied(HOST, [Problem("fault", kind, remedy)]) from None
        if beyond := list(self._law.problems(kind, parameters, duration_ns)):
            raise Denied(LAW, beyond)
        if missing := await asyncio.to_thread(fault.missing):
            raise Denied(HOST, missing)
        verdict = await asyncio.to_thread(fault.read(parameters).check, injection_id, self._settings)
        if verdict.problems:
            raise Denied(HOST, verdict.problems)
        if beyond := list(self._law.problems_of_facts(kind, verdict.facts)):
            raise Denied(LAW, beyond)
        if taken := self._overlaps(verdict.claims):
            raise Denied(OVERLAP, taken)
        return verdict

    def _overlaps(self, claims: Sequence[Claim]) -> list[Problem]:
        return [
            Problem("injection", f"{holder} ({held})", "holds the same already; end it first or narrow this one")
            for holder, held in self._holding()
            if any(held.overlaps(claim) for claim in claims)
        ]
