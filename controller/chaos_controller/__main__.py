"""`chaos-controller`: the daemon, and what root types on its host."""

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from chaos_controller.console import main

if __name__ == "__main__":
    main()
