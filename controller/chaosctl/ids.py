"""Ids may be abbreviated: a beginning that only one experiment, or one of its injections, has is enough."""

from collections.abc import Iterator, Mapping
from typing import Any

from chaosctl.client import Client
from chaosctl.exits import Exit
from chaosctl.stop import Stop, refuse

_WHOLE = 36


def whole(client: Client, given: str) -> str:
    """The whole id; those that run are looked at first, so that an old one never stands in the way of an abort."""
    if len(given) >= _WHOLE:
        return given
    for over in (False, True):
        experiments = client.experiments(over=over)["experiments"]
        found = [str(one["id"]) for one in experiments if any(known.startswith(given.lower()) for known in _ids(one))]
        if len(found) == 1:
            return found[0]
        if found:
            raise refuse("ID", given, f"is the beginning of {len(found)}: {', '.join(found[:4])}; give more of it")
    raise Stop(Exit.INPUT, refuse("ID", given, "is no experiment; `chaosctl list --all` shows them").problems)


def _ids(experiment: Mapping[str, Any]) -> Iterator[str]:
    """Its own id, and those of what it holds on hosts: these are what a host and its log show."""
    yield str(experiment.get("id", ""))
    yield from (str(target.get("injection_id", "")) for target in experiment.get("targets", []))
