"""One undoer at a time, whoever has to be killed for it."""

import subprocess
import sys
from pathlib import Path

from chaos_agent.host.locks import Lock

from tests.agent.conftest import FullDisk

HOLD = """
import pathlib, sys, time
from chaos_agent.host.locks import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print("held" if lock.take() else "busy", flush=True)
time.sleep(60)
"""


def test_a_lock_is_free_when_its_holder_is_dead(tmp_path: Path) -> None:
    """The kernel releases it, also after SIGKILL; no stale file keeps anybody out."""
    held = Lock(tmp_path / "one")
    assert held.take() and not Lock(tmp_path / "one").take()

    held.release()

    assert Lock(tmp_path / "one").take()


def test_a_holder_that_does_not_let_go_is_killed(tmp_path: Path) -> None:
    """After its time the undo goes on without the one who hangs."""
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "one"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"

        Lock(tmp_path / "one").seize(patience_s=0.1)

        assert holder.wait(10) == -9


def test_a_full_disk_keeps_nobody_from_locking_or_letting_go(tmp_path: Path, full_disk: FullDisk) -> None:
    """The holder's id can't be written; the lock is the kernel's."""
    lock = Lock(tmp_path / "one")
    with full_disk():
        assert lock.take() and not Lock(tmp_path / "one").take()
        lock.release()

        assert Lock(tmp_path / "one").take()
