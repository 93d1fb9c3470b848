"""The account of an abort: one line for every host, proved or not. Pure."""

from dataclasses import dataclass

from chaos_controller.experiment import Row
from chaos_controller.states import TargetState
from chaos_controller.timing import lasting, shown_latest

_MILLISECOND = 10**6


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one injection, or of a host that held none. Instants in ns."""

    host: str
    state: TargetState
    says: str
    reachable: bool
    injection_id: str = ""
    experiment_id: str = ""
    inert_at: int | None = None
    clean_at: int | None = None
    ends_at: int | None = None


def of_row(experiment_id: str, row: Row, ordered_at: int, ends_at: int | None, reachable: bool) -> Receipt:
    """The receipt of an injection. `ends_at`: when it ends by itself at the latest."""
    waiting = not row.is_free
    return Receipt(
        host=row.host,
        state=row.state,
        says=_says(row, ordered_at, ends_at, reachable),
        reachable=reachable,
        injection_id=row.injection_id,
        experiment_id=experiment_id,
        inert_at=row.inert_at,
        clean_at=row.clean_at,
        ends_at=ends_at if waiting else None,
    )


def _says(row: Row, ordered_at: int, ends_at: int | None, reachable: bool) -> str:
    settled = {
        TargetState.CLEAN: f"clean{_inert_after(row, ordered_at)}",
        TargetState.NEVER_STARTED: "never started",
        TargetState.ACCEPTED: f"accepted by {row.accepted_by}: {row.note}",
        TargetState.PRESUMED_CLEAN: row.note,
    }
    if row.state in settled:
        return settled[row.state]
    if row.stuck:
        return f"still present: {row.note}"
    if reachable:
        return f"reverting{_inert_after(row, ordered_at)}"
    return f"unreachable, ends by itself at the latest {shown_latest(ends_at)}" if ends_at else "unreachable"


def _inert_after(row: Row, ordered_at: int) -> str:
    if row.inert_at is None:
        return ""
    if row.inert_at < ordered_at:
        return ", inert before"
    rounded = max(_MILLISECOND, (row.inert_at - ordered_at) // _MILLISECOND * _MILLISECOND)
    return f", inert after {lasting(rounded)}"


def of_host(host: str, told: str, reachable: bool) -> Receipt:
    """The receipt of a host on which nothing of ours was left when the abort came. `told` says whether it knows."""
    return Receipt(host, TargetState.CLEAN, f"clean, held nothing; {told}", reachable)
