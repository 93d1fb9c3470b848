"""Documented values made short for people: durations to the second, instants to the clock, ids to their beginning."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chaos_protocol import catalogue, values
from chaos_protocol.v1 import options_pb2

_SECOND = 10**9
_SHORT = 8


def seconds_of(duration: str) -> float:
    """`1m42.5s` is 102.5."""
    return values.parse(options_pb2.UNIT_DURATION, duration) / _SECOND if duration else 0.0


def coarse(seconds: float) -> str:
    """A time span as glanced at: `1h02m`, `1m42s`, `9s`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{left:02d}s" if minutes else f"{left}s"


def clock(instant: str, now: datetime | None = None) -> str:
    """`2026-01-31T12:00:31.5Z` is `12:00:31Z`, with the date when that is another day."""
    if not instant:
        return ""
    try:
        moment = datetime.fromisoformat(instant).astimezone(UTC)
    except ValueError:
        return instant
    today = (now or datetime.now(UTC)).date()
    return f"{moment:%H:%M:%SZ}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%SZ}"


def clock_by_which(instant: str) -> str:
    """The same, rounded up: a moment by which something is over must not be told too early."""
    try:
        moment = datetime.fromisoformat(instant)
    except ValueError:
        return clock(instant)
    return clock((moment + timedelta(microseconds=-moment.microsecond % 10**6)).isoformat())


def short_id(identifier: str) -> str:
    """The beginning of an id, enough to type."""
    return identifier[:_SHORT] if len(identifier) > _SHORT * 2 else identifier


def words(word: str) -> str:
    """`presumed-clean` is `presumed clean`."""
    return word.replace("-", " ")


def fault_line(fault: Mapping[str, Any]) -> str:
    """One fault on one line: `latency delay=100ms to=10.0.0.5`; what is as it would be anyway is left out."""
    for arm, parameters in fault.items():
        kind = catalogue.kinds().get(arm.replace("_", "-"))
        usual = {parameter.key: parameter.default for parameter in kind.parameters} if kind else {}
        said = {key: _joined(value) for key, value in parameters.items() if value != []}
        return " ".join(
            [arm.replace("_", "-"), *(f"{key}={text}" for key, text in said.items() if text != usual.get(key))]
        )
    return "a fault that this chaosctl does not know"


def _joined(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def selection_line(selection: Mapping[str, Any]) -> str:
    """Who was asked for, on one line."""
    return " ".join(f"{key}={_joined(value)}" for key, value in selection.items() if value != [])


def measured(unit: int, number: float) -> str:
    """A measurement, rounded as far as a person reads it."""
    if unit == options_pb2.UNIT_DURATION:
        return f"{number / 10**6:.1f}ms" if number < _SECOND else f"{number / _SECOND:.2f}s"
    if unit == options_pb2.UNIT_BYTES:
        return _scaled(number, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit == options_pb2.UNIT_RATE:
        return _scaled(number, 1000, ("bit", "kbit", "Mbit", "Gbit", "Tbit"))
    if unit == options_pb2.UNIT_SHARE:
        return f"{number / 10**4:.1f}%"
    return f"{number:,.0f}"


def _scaled(number: float, step: int, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if abs(number) < step:
            return f"{number:.0f}{unit}" if unit == units[0] else f"{number:.1f}{unit}"
        number /= step
    return f"{number:.1f}{units[-1]}"
