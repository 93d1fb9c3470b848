"""Names into addresses, as this host sees them, in bounded time."""

import socket
import threading
import time
from collections.abc import Sequence

PATIENCE_S = 3.0


def resolve(names: Sequence[str], patience_s: float = PATIENCE_S) -> dict[str, list[str]]:
    """Addresses of both families by name; a name without any, or not answered in time, is absent."""
    found: dict[str, list[str]] = {}
    # Threads, because the resolver can't be told when to give up; one that hangs is left behind and ends by itself.
    waiting = [threading.Thread(target=_resolve, args=(name, found), daemon=True) for name in names]
    for thread in waiting:
        thread.start()
    give_up = time.monotonic() + patience_s
    for thread in waiting:
        thread.join(max(0.0, give_up - time.monotonic()))
    return dict(found)


def _resolve(name: str, found: dict[str, list[str]]) -> None:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    found[name] = sorted({str(address[0]).split("%")[0] for _, _, _, _, address in answers})
