"""Ids may be abbreviated: a beginning that only one experiment has is enough."""

from chaosctl.client import Client
from chaosctl.exits import Exit
from chaosctl.stop import Stop, refuse

_WHOLE = 36


def whole(client: Client, given: str) -> str:
    """The whole id; those that run are looked at first, so that an old one never stands in the way of an abort."""
    if len(given) >= _WHOLE:
        return given
    for over in (False, True):
        known = [str(one.get("id", "")) for one in client.experiments(over=over)["experiments"]]
        found = [identifier for identifier in known if identifier.startswith(given.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            raise refuse("ID", given, f"is the beginning of {len(found)}: {', '.join(found[:4])}; give more of it")
    raise Stop(Exit.INPUT, refuse("ID", given, "is no experiment; `chaosctl list --all` shows them").problems)
