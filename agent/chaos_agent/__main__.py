"""`chaos-agent`: the daemon, and what a person at this host's console types."""

import os
import sys

# Every promise about memory is made here: asyncio must not load OpenSSL (gRPC brings its own TLS), and gRPC's fork
# handlers must not touch the threads of a process that starts workers.
if len(sys.argv) > 1 and "run" in sys.argv:
    sys.modules["ssl"] = None  # type: ignore[assignment]
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from chaos_agent.console import main

if __name__ == "__main__":
    main()
