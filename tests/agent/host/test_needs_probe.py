"""Trying what a fault needs, on the machine's own kernel."""

import json
import os
import subprocess
import sys

from tests.fakes.network import run


def probe(*before: str) -> dict[str, str]:
    words = [*before, sys.executable, "-m", "chaos_agent.host.needs_probe"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": ":".join(sys.path)}
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_leaves_the_host_as_found() -> None:
    """Everything is tried in a namespace that goes with the process."""
    before = run("ip", "-o", "link", "show") + run("tc", "qdisc", "show")

    probe()

    assert before == run("ip", "-o", "link", "show") + run("tc", "qdisc", "show")


def test_names_netem_exactly_when_the_kernel_has_none() -> None:
    """What is missing is what tc itself can't add, and nothing else is."""
    tried = subprocess.run(
        ["unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem"], capture_output=True, check=False
    )

    assert sorted(probe()) == (["sch_netem"] if tried.returncode else [])


def test_names_missing_capabilities() -> None:
    """A process that may not change its own network is told so, though it may change a throwaway one."""
    found = probe("setpriv", "--bounding-set=-net_admin,-bpf,-sys_admin,-perfmon")

    assert {"CAP_BPF", "CAP_NET_ADMIN"} <= found.keys()
