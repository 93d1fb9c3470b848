"""The host's own clock and who the host is. Every duration is counted on CLOCK_BOOTTIME."""

import time
from pathlib import Path


def tick_ns() -> int:
    """CLOCK_BOOTTIME in ns: goes on in suspend, is never set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def unix_ns_at(tick: int) -> int:
    """The wall-clock time of a moment of CLOCK_BOOTTIME, for records only: the wall clock may be set."""
    return time.time_ns() - (tick_ns() - tick)


def boot_id() -> str:
    """Changes with each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def machine_id() -> str:
    """What systemd calls this machine; empty where there is none."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""
