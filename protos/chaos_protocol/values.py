"""Values as people write them, to and from integers in one base unit.

Durations are nanoseconds, sizes bytes, rates bits a second, shares parts per million, instants nanoseconds since 1970.
Arithmetic is exact; what `show` writes, `parse` reads back to the same number.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction

from chaos_protocol.v1 import options_pb2 as options

_DURATION = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION["d"] = 24 * _DURATION["h"]
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_RATE = {"bit": 1, "kbit": 10**3, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12}
_RATE |= {f"{unit}/s": 8 * size for unit, size in _BYTES.items()}
_SHARE = {"%": 10**4}

_EXAMPLES: Mapping[int, str] = {
    options.UNIT_DURATION: "100ms, 30s, 2m or 1h30m",
    options.UNIT_BYTES: "500MB or 1GiB",
    options.UNIT_RATE: "10Mbit or 1MB/s",
    options.UNIT_SHARE: "20%",
    options.UNIT_INSTANT: "2026-01-31T12:00:00Z",
    options.UNIT_COUNT: "a whole number, as 3",
}
_TABLES: Mapping[int, Mapping[str, int]] = {
    options.UNIT_DURATION: _DURATION,
    options.UNIT_BYTES: _BYTES,
    options.UNIT_RATE: _RATE,
    options.UNIT_SHARE: _SHARE,
}
# The units that are written, largest first.
_WRITTEN: Mapping[int, tuple[str, ...]] = {
    options.UNIT_BYTES: ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"),
    options.UNIT_RATE: ("Tbit", "Gbit", "Mbit", "kbit"),
}
# What a number without a unit may have meant.
_LIKELY: Mapping[int, tuple[str, ...]] = {
    options.UNIT_DURATION: ("ms", "s"),
    options.UNIT_BYTES: ("MB", "MiB"),
    options.UNIT_RATE: ("Mbit", "MB/s"),
    options.UNIT_SHARE: ("%",),
}
_BASE: Mapping[int, str] = {options.UNIT_BYTES: "B", options.UNIT_RATE: "bit", options.UNIT_SHARE: "%"}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)([A-Za-zµ%/]+)")
_LONGEST = 64


def example(unit: int) -> str:
    """How a value of this unit is written."""
    return _EXAMPLES.get(unit, "")


def parse(unit: int, text: str) -> int:
    """The number in the base unit; `ValueError` says how to write it instead."""
    text = text.strip()
    if len(text) > _LONGEST:
        raise ValueError(f"too long; write {example(unit)}")
    if unit == options.UNIT_INSTANT:
        return _parse_instant(text)
    if unit in (options.UNIT_COUNT, options.UNIT_UNSPECIFIED):
        return _parse_count(text)
    return _parse_with_unit(unit, text)


def _parse_count(text: str) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def _parse_instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is no point in time; write {example(options.UNIT_INSTANT)}") from None
    if moment.tzinfo is None:
        raise ValueError("has no time zone; end it with Z or an offset")
    return round(moment.timestamp() * 10**6) * 1000


def _parse_with_unit(unit: int, text: str) -> int:
    table = _TABLES[unit]
    if text.startswith("-"):
        raise ValueError(f"must not be negative; write {example(unit)}")
    if re.fullmatch(r"\d+(\.\d+)?|\.\d+", text, re.ASCII):
        raise ValueError(f"has no unit; write {' or '.join(text + word for word in _LIKELY[unit])}")
    parts = _PART.findall(text) if re.fullmatch(f"(?:{_PART.pattern})+", text, re.ASCII) else []
    if not parts or (len(parts) > 1 and unit != options.UNIT_DURATION):
        raise ValueError(f"can't be read; write {example(unit)}")
    total = Fraction(0)
    for number, word in parts:
        if word not in table:
            raise ValueError(f"has the unknown unit {word!r}; write {example(unit)}")
        total += Fraction(number) * table[word]
    if total.denominator != 1:
        raise ValueError("is finer than can be counted; write a coarser value")
    return int(total)


def show(unit: int, number: float) -> str:
    """The number as people write it."""
    if unit == options.UNIT_INSTANT:
        return _show_instant(int(number))
    if unit == options.UNIT_DURATION:
        return _show_duration(round(number))
    if unit == options.UNIT_SHARE:
        return f"{_decimal(Fraction(round(number), 10**4))}%"
    if unit in _WRITTEN:
        return _show_scaled(unit, round(number))
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


def _show_instant(number: int) -> str:
    seconds, rest = divmod(number, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.isoformat(timespec="microseconds" if rest // 1000 else "seconds").replace("+00:00", "Z")


def _show_duration(number: int) -> str:
    if number < 0:
        return "-" + _show_duration(-number)
    if number == 0:
        return "0s"
    if number >= _DURATION["m"]:
        hours, rest = divmod(number, _DURATION["h"])
        minutes, seconds = divmod(rest, _DURATION["m"])
        parts = [(hours, "h"), (minutes, "m")]
        text = "".join(f"{count}{word}" for count, word in parts if count)
        return text + (f"{_decimal(Fraction(seconds, 10**9))}s" if seconds else "")
    word = next(word for word in ("s", "ms", "us", "ns") if number >= _DURATION[word])
    return f"{_decimal(Fraction(number, _DURATION[word]))}{word}"


def _show_scaled(unit: int, number: int) -> str:
    table = _TABLES[unit]
    for word in _WRITTEN[unit]:
        if number and number % table[word] == 0:
            return f"{number // table[word]}{word}"
    return f"{number}{_BASE[unit]}"


def _decimal(value: Fraction) -> str:
    """Exact decimal notation; every denominator here divides a power of ten."""
    whole, rest = divmod(value, 1)
    if not rest:
        return str(int(whole))
    digits = f"{int(rest * 10**9):09d}".rstrip("0")
    return f"{int(whole)}.{digits}"
