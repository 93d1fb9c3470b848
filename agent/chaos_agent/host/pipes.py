"""Lines of JSON between the daemon and a worker, over pipes that never make either side wait."""

import contextlib
import json
import os
import select
from collections.abc import Iterator
from typing import Any


class Lines:
    """The worker's end: commands come in on one descriptor, reports go out on another."""

    def __init__(self, inward: int, outward: int) -> None:
        self._inward = inward
        self._outward = outward
        self._rest = b""
        self.closed = False
        os.set_blocking(inward, False)
        os.set_blocking(outward, False)

    def wait(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Commands that arrive within `seconds`, early with the first. Sets `closed` when the daemon is gone."""
        ready, _, _ = select.select([self._inward], [], [], max(0.0, seconds))
        if ready:
            self._read()
        *lines, self._rest = self._rest.split(b"\n")
        yield from (json.loads(line) for line in lines if line)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._inward, 65536):
                self._rest += chunk
            self.closed = True

    def tell(self, **report: object) -> None:
        """Send a report. Dropped when the pipe is full or the daemon gone: what must last is in the result file."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._outward, json.dumps(report).encode() + b"\n")
