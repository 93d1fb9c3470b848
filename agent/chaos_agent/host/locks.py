"""One undoer: whoever works on an injection holds the flock of its file, for as long as it lives."""

import contextlib
import errno
import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Self

_PAUSE_S = 0.02


class Lock:
    """An exclusive lock on a file; ends with the process that holds it, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> bool:
        """Whether the lock is ours now. The holder's process id is written into the file."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # on a full or read-only disk the lock holds all the same, without a name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return True

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def seize(self, patience_s: float) -> None:
        """Take the lock; who still holds it after `patience_s` is killed. `TimeoutError` when that does not help."""
        if self.take_within(patience_s):
            return
        self._kill_holder()
        if not self.take_within(patience_s):
            raise TimeoutError(f"{self._path} is held by a process that does not die")

    def take_within(self, patience_s: float) -> bool:
        """Whether the lock could be had before `patience_s` had passed."""
        end = time.monotonic() + patience_s
        while not self.take():
            if time.monotonic() > end:
                return False
            # flock has no timeout, and the holder may be any process: there is no event to wait for.
            time.sleep(_PAUSE_S)
        return True

    def _kill_holder(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            holder = os.pidfd_open(int(self._path.read_text()))
            try:
                # The id was written under the lock: if that is free now, the id may be anybody's.
                if not self.take():
                    signal.pidfd_send_signal(holder, signal.SIGKILL)
            finally:
                os.close(holder)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
