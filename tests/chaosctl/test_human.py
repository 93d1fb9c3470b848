"""Documented values, short."""

from datetime import UTC, datetime
from typing import Any

import pytest
from chaos_protocol.v1 import options_pb2
from chaosctl.human import (
    clock,
    clock_by_which,
    coarse,
    fault_line,
    measured,
    seconds_of,
    selection_line,
    short_id,
    words,
)

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (-3, "0s"), (9.4, "9s"), (60, "1m00s"), (102, "1m42s"), (3720, "1h02m")]
)
def test_spans_to_the_second(seconds: float, shown: str) -> None:
    """Glanced at, not studied."""
    assert coarse(seconds) == shown


def test_durations_are_read_back() -> None:
    """What the API writes can be counted with; nothing is nothing."""
    assert (seconds_of("1m42.5s"), seconds_of("")) == (102.5, 0.0)


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        pytest.param("2026-01-31T11:59:31.5Z", "11:59:31Z", id="today"),
        pytest.param("2026-01-30T11:59:31Z", "2026-01-30 11:59:31Z", id="another-day"),
        pytest.param("2026-01-31T13:59:31+02:00", "11:59:31Z", id="always-utc"),
        pytest.param("", "", id="never"),
        pytest.param("soon", "soon", id="unreadable-stays"),
    ],
)
def test_instants_on_the_clock(instant: str, shown: str) -> None:
    """In UTC, so that it means the same on every host of the fleet."""
    assert clock(instant, NOON) == shown


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        pytest.param({"latency": {"delay": "100ms"}}, "latency delay=100ms", id="one"),
        pytest.param({"latency": {"delay": "1s", "to": ["a", "b"]}}, "latency delay=1s to=a,b", id="list"),
        pytest.param({"latency": {"delay": "1s", "jitter": "0s", "to": []}}, "latency delay=1s", id="at-rest"),
        pytest.param({"latency": {"delay": "1s", "fragments": True}}, "latency delay=1s fragments=yes", id="yes"),
        pytest.param({}, "a fault that this chaosctl does not know", id="newer-than-us"),
        pytest.param({"disk_fill": {"size": "1GiB"}}, "disk-fill size=1GiB", id="by-its-word"),
    ],
)
def test_faults_on_a_line(fault: dict[str, Any], line: str) -> None:
    """Parameters as given; what is as it would be anyway is left out."""
    assert fault_line(fault) == line


@pytest.mark.parametrize(
    ("unit", "number", "shown"),
    [
        (options_pb2.UNIT_DURATION, 1.0004e8, "100.0ms"),
        (options_pb2.UNIT_DURATION, 5e9, "5.00s"),
        (options_pb2.UNIT_BYTES, 1536, "1.5KiB"),
        (options_pb2.UNIT_BYTES, 12, "12B"),
        (options_pb2.UNIT_RATE, 10e6, "10.0Mbit"),
        (options_pb2.UNIT_SHARE, 205_000, "20.5%"),
        (options_pb2.UNIT_COUNT, 12_345, "12,345"),
    ],
)
def test_measurements(unit: int, number: float, shown: str) -> None:
    """Rounded as far as a person reads."""
    assert measured(unit, number) == shown


def test_small_things() -> None:
    """Ids to their beginning, words without dashes, selections without what was not said."""
    assert short_id("3f9a1c2e-aaaa-bbbb-cccc-0123456789ab") == "3f9a1c2e"
    assert short_id("short") == "short"
    assert words("never-started") == "never started"
    assert selection_line({"hosts": ["web*"], "labels": [], "count": 2}) == "hosts=web* count=2"


def test_a_moment_by_which_something_ends_is_rounded_up() -> None:
    """Told a second late is right, told a second early is a lie."""
    assert clock_by_which("2020-01-31T12:00:30.1Z") == "2020-01-31 12:00:31Z"
    assert clock_by_which("2020-01-31T12:00:30Z") == "2020-01-31 12:00:30Z"
