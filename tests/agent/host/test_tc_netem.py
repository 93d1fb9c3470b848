"""What netem is told, byte by byte, and what it says."""

import struct

from chaos_agent.host.netlink import attributes
from chaos_agent.host.tc_netem import Shape
from hypothesis import given
from hypothesis import strategies as st

NANOSECONDS = st.integers(0, 60 * 10**9)


@given(st.builds(Shape, NANOSECONDS, NANOSECONDS, st.integers(1, 2**32 - 1), st.booleans()))
def test_is_read_as_written(shape: Shape) -> None:
    """Delay and jitter keep every nanosecond."""
    assert shape == Shape.decode(shape.encode())


def test_order_is_kept_by_a_rate_of_1000gbit() -> None:
    """A rate far above any link makes netem hand out packets in order."""
    options = attributes(Shape(1, 0, 1000).encode()[24:])

    assert struct.unpack("=Q", options[8]) == (1000 * 10**9 // 8,)


def test_without_order_there_is_no_rate() -> None:
    """Overtaking is netem's own behaviour under jitter."""
    assert not {6, 8} & attributes(Shape(1, 0, 1000, in_order=False).encode()[24:]).keys()


def test_lowering_keeps_the_order() -> None:
    """A part of the delay is in order even where overtaking was allowed: the end must not add any."""
    assert Shape(100, 20, 7, in_order=False).scaled(0.5) == Shape(50, 10, 7, in_order=True)
