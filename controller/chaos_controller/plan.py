"""What an experiment would do, host by host, and the hash of that decision. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos_protocol.problems import Problem

from chaos_controller import targets
from chaos_controller.experiment import Request
from chaos_controller.objections import Objection, objection
from chaos_controller.policy import Policy
from chaos_controller.states import Reason
from chaos_controller.targets import Candidate, Spared
from chaos_controller.timing import shown


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an agent says of one fault: dry, nothing was touched."""

    problems: Sequence[Problem] = ()
    reason: Reason = Reason.HOST
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """A host that would be hit, and its verdict on each fault."""

    name: str
    id: str
    verdicts: Sequence[Verdict] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision. With objections it would be refused now. `expires_at` in ns."""

    hash: str
    request: Request
    targets: Sequence[PlannedTarget]
    spared: Sequence[Spared]
    objections: Sequence[Objection]
    expires_at: int
    budget: str


def hash_of(request: Request, chosen: Sequence[Candidate], catalogue: str) -> str:
    """SHA-256 over canonical JSON of what would be done.

    Not in it: the selection and its seed (the targets are frozen), who asks and when, labels, versions, free budget;
    nor the keepalive, which belongs to the run and not to the plan.
    """
    decision = {
        "faults": [json.loads(fault.canonical) for fault in request.faults],
        "targets": sorted([host.name, host.id] for host in chosen),
        "start_in_ns": request.start_in_ns,
        "duration_ns": request.duration_ns,
        "lease_ns": request.lease_ns,
        "guards": [],
        "catalogue": catalogue,
    }
    return hashlib.sha256(json.dumps(decision, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def objections_to_frozen(
    request: Request,
    frozen: Sequence[tuple[str, str]],
    fleet: Mapping[str, Candidate],
    policy: Policy,
) -> tuple[Objection, ...]:
    """Which targets of an earlier plan would not be chosen now, and why. A newly matching host is no objection."""
    found = []
    for name, host_id in frozen:
        host = fleet.get(name)
        if host is None or host.id != host_id:
            remedy = "is not the host that was planned for; plan again"
            found.append(objection(Reason.MISSING, "targets", name, remedy))
        elif why := targets.still_matches(request.selection, host, policy.protects):
            reason = Reason.LAW if policy.protects(host) else Reason.INPUT
            found.append(objection(reason, "targets", name, f"{why}; plan again"))
    return tuple(found)


def objections_to_age(plan_hash: str, expires_at: int, catalogue: str, known: str, now: int) -> tuple[Objection, ...]:
    """Why a stored plan can't be used any more."""
    if now >= expires_at:
        return (objection(Reason.MISSING, "plan", plan_hash, f"expired at {shown(expires_at)}; plan again"),)
    if catalogue != known:
        return (objection(Reason.STALE, "plan", plan_hash, "was made with another catalogue of faults; plan again"),)
    return ()


def objections_of_hosts(planned: Sequence[PlannedTarget]) -> tuple[Objection, ...]:
    """What the hosts themselves object to, each problem naming its host."""
    return tuple(
        Objection(verdict.reason, Problem(f"{target.name}: {problem.culprit}", problem.value, problem.remedy))
        for target in planned
        for verdict in target.verdicts
        for problem in verdict.problems
    )
