"""`chaos-agent`: the daemon, and what a person at this host's console types."""

import os
import sys
from importlib.machinery import BuiltinImporter, PathFinder

# Every promise about memory is made here: the daemon must not load OpenSSL (gRPC brings its own TLS) for asyncio or for
# a SHA-256, and gRPC's fork handlers must not touch the threads of a process that starts workers.
_OWN_SHA256 = "_sha2" if sys.version_info >= (3, 12) else "_sha256"
_REFUSED = 2
_RUN = "run" in sys.argv[1:]
if _RUN:
    sys.modules["ssl"] = None  # type: ignore[assignment]
    # Some distributions build Python without hashes of its own; there OpenSSL's must do.
    if BuiltinImporter.find_spec(_OWN_SHA256) or PathFinder.find_spec(_OWN_SHA256):
        sys.modules["_hashlib"] = None  # type: ignore[assignment]
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def main() -> None:
    """Refusals are answers: every problem on a line of its own, and exit code 2."""
    from chaos_protocol.problems import Refused

    try:
        _begin()
    except Refused as refused:
        for problem in refused.problems:
            print(f"chaos-agent: {problem}", file=sys.stderr)  # noqa: T201
        sys.exit(_REFUSED)


def _begin() -> None:
    # The daemon goes around the console, which it would carry for life.
    if _RUN:
        from chaos_agent import starting

        starting.run()
    else:
        from chaos_agent import console

        console.main()


if __name__ == "__main__":
    main()
