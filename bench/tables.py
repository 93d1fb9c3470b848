"""Tables as they stand in README: Markdown on stdout, medians with their spread, and the conditions they hold for."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median


def spread(values: Iterable[float], digits: int = 1, unit: str = "") -> str:
    """`median (least–most)`."""
    found = sorted(values)
    if not found:
        return "none"
    shown = f"{median(found):.{digits}f}{unit}"
    return shown if len(found) == 1 else f"{shown} ({found[0]:.{digits}f}–{found[-1]:.{digits}f})"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One table."""
    print()
    for row in (head, ["---", *["---:"] * (len(head) - 1)], *rows):
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def conditions(*more: str) -> None:
    """Where and when this was measured, in a line."""
    kernel = os.uname().release
    where = "User-mode Linux" if in_uml() else "the machine's own kernel"
    load = Path("/proc/loadavg").read_text().split()[0]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print("; ".join([f"{when}, {where} {kernel}, {os.cpu_count()} CPU, load {load}", *more]) + ".", flush=True)


def in_uml() -> bool:
    """Whether this kernel is a process."""
    return "User Mode Linux" in Path("/proc/cpuinfo").read_text()
