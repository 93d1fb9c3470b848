"""The boundary between a diversion and what it diverts to."""

import inspect

from chaos_agent.network.engine import Engine
from chaos_agent.network.netem import NetemEngine

from tests.fakes.fifo_engine import FifoEngine


def test_every_engine_has_what_a_diversion_needs() -> None:
    """Netem and the tests' own engine offer each method of the protocol."""
    needed = {name for name, _ in inspect.getmembers(Engine) if not name.startswith("_")}

    assert needed <= set(dir(NetemEngine))
    assert needed <= set(dir(FifoEngine))
    assert needed == {"index", "wrong", "change", "queue", "inside", "end"}
