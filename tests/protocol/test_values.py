"""Values as people write them."""

import pytest
from chaos_protocol import values
from chaos_protocol.v1 import options_pb2 as o
from hypothesis import given
from hypothesis import strategies as st

UNITS = [o.UNIT_DURATION, o.UNIT_BYTES, o.UNIT_RATE, o.UNIT_SHARE, o.UNIT_COUNT]


@pytest.mark.parametrize(
    ("unit", "text", "number"),
    [
        # unit, as written, in the base unit
        (o.UNIT_DURATION, "100ms", 100_000_000),
        (o.UNIT_DURATION, "1h30m", 5_400_000_000_000),
        (o.UNIT_DURATION, "1.5s", 1_500_000_000),
        (o.UNIT_DURATION, "250us", 250_000),
        (o.UNIT_DURATION, "0s", 0),
        (o.UNIT_BYTES, "1GiB", 2**30),
        (o.UNIT_BYTES, "500MB", 500_000_000),
        (o.UNIT_RATE, "10Mbit", 10_000_000),
        (o.UNIT_RATE, "1MB/s", 8_000_000),
        (o.UNIT_SHARE, "20%", 200_000),
        (o.UNIT_SHARE, "0.5%", 5_000),
        (o.UNIT_COUNT, "3", 3),
        (o.UNIT_INSTANT, "1970-01-01T00:00:01Z", 10**9),
    ],
)
def test_reads_what_people_write(unit: int, text: str, number: int) -> None:
    """Every unit has one human form."""
    assert number == values.parse(unit, text)


@pytest.mark.parametrize(
    ("unit", "text", "remedy"),
    [
        # unit, as written, what the answer says
        (o.UNIT_DURATION, "100", "has no unit; write 100ms or 100s"),
        (o.UNIT_DURATION, "0", "has no unit"),
        (o.UNIT_DURATION, "-5ms", "must not be negative"),
        (o.UNIT_DURATION, "5 parsecs", "can't be read"),
        (o.UNIT_DURATION, "5x", "unknown unit 'x'"),
        (o.UNIT_DURATION, "", "can't be read"),
        (o.UNIT_DURATION, "0.1ns", "finer than can be counted"),
        (o.UNIT_DURATION, "9" * 70 + "s", "too long"),
        (o.UNIT_DURATION, "١s", "can't be read"),
        (o.UNIT_RATE, "1mbps", "unknown unit 'mbps'; write 10Mbit or 1MB/s"),
        (o.UNIT_SHARE, "0.2", "has no unit; write 0.2%"),
        (o.UNIT_COUNT, "2.5", "whole number"),
        (o.UNIT_INSTANT, "2026-01-01T00:00:00", "no time zone"),
        (o.UNIT_INSTANT, "tomorrow", "no point in time"),
    ],
)
def test_refuses_with_the_remedy(unit: int, text: str, remedy: str) -> None:
    """What can't be meant in one way only is refused, with how to write it."""
    with pytest.raises(ValueError, match=remedy):
        values.parse(unit, text)


@given(st.sampled_from(UNITS), st.integers(0, 2**62))
def test_what_is_shown_is_read_back(unit: int, number: int) -> None:
    """No value changes by being printed and typed again."""
    assert number == values.parse(unit, values.show(unit, number))
