"""Files that survive a power cut: written beside, synced, renamed, and the folder synced after."""

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

_PRIVATE = 0o700


def make_private(folder: Path) -> None:
    """A folder for root alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) != _PRIVATE:  # a read-only disk is no obstacle where nothing need change
        folder.chmod(_PRIVATE)


def write_durably(path: Path, content: Mapping[str, object]) -> None:
    """JSON on disk, whole or not at all; returns when a power cut can't lose it. `OSError` leaves the old content."""
    draft = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Gone for good, also when it was not there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """fsync of a folder: only then its entries are durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, object] | None:
    """The object in a file; None when it is absent, cut or garbage."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
