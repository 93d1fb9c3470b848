"""Waits until the controller of the lab has every host of the fleet on line: `ready.py 'web1 web2 db1'`."""

import sys
import time

from chaosctl.client import Client
from chaosctl.stop import Unreachable

PATIENCE_S = 60.0
PAUSE_S = 0.2


def missing(client: Client, fleet: set[str]) -> set[str]:
    """Hosts that the controller does not reach."""
    try:
        hosts = client.hosts()["hosts"]
    except Unreachable:
        return fleet
    return fleet - {host["name"] for host in hosts if host.get("online")}


def main() -> None:
    """Poll; a failure names who is missing."""
    fleet = set(sys.argv[1].split())
    stop_after = time.monotonic() + PATIENCE_S
    with Client.connect() as client:
        while absent := missing(client, fleet):
            if time.monotonic() > stop_after:
                sys.exit(f"lab: not reached within {PATIENCE_S:.0f} s: {', '.join(sorted(absent))}")
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
