"""A real worker process that knows the faults of the tests as well."""

import sys
from pathlib import Path

from chaos_agent import faults, worker

faults.__path__.append(str(Path(__file__).parent / "faults"))

if __name__ == "__main__":
    sys.exit(worker.main(*sys.argv[1:]))
