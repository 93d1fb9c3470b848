"""How the process ends. One table for every command; `chaosctl help exit-codes` prints it."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """What the exit status says to the script that called us."""

    DONE = 0
    INTERNAL = 1
    INPUT = 2
    LIMIT = 3
    PARTLY = 4
    ABORTED = 5
    UNPROVED = 6
    UNREACHABLE = 7


MEANING: Mapping[Exit, str] = {
    Exit.DONE: "done, and every host is proved clean",
    Exit.INTERNAL: "internal error",
    Exit.INPUT: "the request was refused as it stands: change it, or mend what it names",
    Exit.LIMIT: "policy, a host's law, the budget, the fence or a running fault forbids it",
    Exit.PARTLY: "partly failed, and every host is proved clean",
    Exit.ABORTED: "aborted, and every host is proved clean",
    Exit.UNPROVED: "some host is not proved clean (outranks the rest)",
    Exit.UNREACHABLE: "the controller can't be reached",
}

# Why something was refused, as the protocol words it. INPUT: ask for something else, or mend the host that is named.
# LIMIT: a rule or the present situation forbids it; the very same request may pass later or from somebody else.
REFUSALS: Mapping[str, Exit] = {
    "input": Exit.INPUT,
    "missing": Exit.INPUT,
    "host": Exit.INPUT,
    "law": Exit.LIMIT,
    "budget": Exit.LIMIT,
    "fence": Exit.LIMIT,
    "overlap": Exit.LIMIT,
    "stale": Exit.LIMIT,
    "caller": Exit.LIMIT,
}

PROVED = frozenset({"clean", "never-started"})
OVER = frozenset({"completed", "aborted", "failed"})


def exit_of_refusal(reason: str) -> Exit:
    """The status for a refusal; one that a newer controller invented is a refused request."""
    return REFUSALS.get(reason, Exit.INPUT)


def unproved(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The hosts among targets or receipts that are not proved clean, each once."""
    return list(dict.fromkeys(str(row.get("host", "")) for row in rows if row.get("state") not in PROVED))


def exit_of_experiment(experiment: Mapping[str, Any]) -> Exit:
    """The status for an experiment that is over."""
    targets = experiment.get("targets", [])
    if unproved(targets):
        return Exit.UNPROVED
    if experiment.get("state") == "aborted":
        return Exit.ABORTED
    failed = any(target.get("ended", "duration") != "duration" for target in targets)
    return Exit.PARTLY if failed or experiment.get("state") == "failed" else Exit.DONE


def exit_of_abort(report: Mapping[str, Any]) -> Exit:
    """The status for an abort: done only when every row is proved."""
    settled = report.get("settled", False) and not unproved(report.get("receipts", []))
    return Exit.DONE if settled else Exit.UNPROVED


def table_of_exits() -> str:
    """The table for people."""
    return "\n".join(f"  {code.value}  {meaning}" for code, meaning in MEANING.items())
