"""Starting a worker process and talking to it from the daemon, without ever waiting for it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

_LONGEST_LINE = 1024 * 1024


class WorkerProcess:
    """The daemon's end of one worker."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, folder: Path, injection_id: str, program: tuple[str, ...] = ("-m", "chaos_agent.worker")
    ) -> "WorkerProcess":
        """A worker that waits for "go". Raises `OSError` when no process can be had."""
        process = await asyncio.create_subprocess_exec(
            # Without `site`: what it would find is in PYTHONPATH, and a worker is waited for.
            *(sys.executable, "-S", *program, str(folder), injection_id),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            limit=_LONGEST_LINE,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, **command: object) -> None:
        """Send a command; one to a worker that is gone is lost, and its exit says so."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def reports(self) -> AsyncIterator[dict[str, Any]]:
        """What the worker tells, until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            with contextlib.suppress(ValueError):
                yield json.loads(line)
        await self._process.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
