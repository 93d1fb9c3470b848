"""What this host lacks for network faults, each with how to mend it; found by trying (`needs_probe`)."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from chaos_protocol.problems import Problem

_PATIENCE_S = 20
_CAPABILITIES = "run the agent as root, or give its unit AmbientCapabilities=CAP_NET_ADMIN CAP_BPF"
_GATE = f"{_CAPABILITIES}; the kernel must be 5.8 or newer, for without its clock nothing would end the fault by itself"


@functools.cache
def missing() -> tuple[Problem, ...]:
    """Tried once; a restart of the agent tries again."""
    return problems(_probe(), _distribution())


def problems(failed: Mapping[str, str], distribution: str) -> tuple[Problem, ...]:
    return tuple(Problem(need, said, remedy(need, distribution)) for need, said in sorted(failed.items()))


def remedy(need: str, distribution: str) -> str:
    if need == "CAP_BPF":
        return _GATE
    if need in ("CAP_NET_ADMIN", "network namespace"):
        return _CAPABILITIES
    return f"try `modprobe {need}`; if there is no such module, {_package(distribution)}"


def _package(distribution: str) -> str:
    release = os.uname().release
    if any(word in distribution for word in ("rhel", "fedora", "centos")):
        return f"install kernel-modules-extra-{release} and restart"
    if "ubuntu" in distribution:
        return f"install linux-modules-extra-{release}"
    if "debian" in distribution:
        return "install the full linux-image package (not -cloud) and start with it"
    return "install the package of your distribution that has it, or a kernel built with it"


def _distribution() -> str:
    """`ID` and `ID_LIKE` of os-release, in one line."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return ""
    return " ".join(line.partition("=")[2].strip('"') for line in lines if line.startswith(("ID=", "ID_LIKE=")))


def _probe() -> dict[str, str]:
    """In a process of its own: who changes its namespace can't come back."""
    command = [sys.executable, "-S", "-m", "chaos_agent.host.needs_probe"]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return {"network namespace": f"could not be tried: {error}"}
    return found
