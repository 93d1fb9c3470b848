"""What the daemon asks of the kernel for itself."""

import contextlib
from pathlib import Path


def protect_from_the_oom_killer() -> None:
    """The daemon goes last: it is what undoes faults. Without the privilege for that, things stay as they are."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-900")
