"""Two namespaces on the machine's own kernel, and latencies with a queue that needs no netem."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fifo_engine import FifoEngine
from tests.fakes.latencies import Latencies
from tests.fakes.network import Host, pair


@pytest.fixture
def two() -> Iterator[tuple[Host, Host]]:
    with pair() as joined:
        yield joined


@pytest.fixture
def here(two: tuple[Host, Host]) -> Host:
    return two[0]


@pytest.fixture
def latencies(tmp_path: Path, here: Host) -> Iterator[Latencies]:
    """Whatever a test did with them, the host is as it was before the first."""
    made = Latencies(tmp_path, FifoEngine.start)
    yield made
    made.end()
