"""Tries, in a network namespace that goes with this process, what a network fault needs; prints what failed as JSON.

Trying is the only honest test: modules load on first use, so a list of loaded ones says little, and a list of
installed ones says nothing about what a container or a locked-down kernel lets us have.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from pathlib import Path

from chaos_agent.host import bpf, links, tc
from chaos_agent.host.netlink import KernelRefused, Netlink
from chaos_agent.host.tc_netem import Shape

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_CAP_NET_ADMIN = 12
_LOOPBACK = 1
_PREFERENCE = 1
_NO_MATCH = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit


def probe() -> dict[str, str]:
    """What failed, by the name of what is needed, in the kernel's words."""
    failed: dict[str, str] = {}
    if not _may_change_this_network():
        failed["CAP_NET_ADMIN"] = "this process does not have it"  # in a namespace of its own it would
    program = _load(failed)
    if not _leave_for_a_new_namespace():
        return {**failed, "network namespace": "may not be made, so nothing could be tried"}
    try:
        with Netlink() as netlink:
            _attempt(failed, "ifb", lambda: links.make_ifb(netlink, "probe", "probe"))
            netem = Shape(1_000_000, 0, 1000).encode()
            _attempt(failed, "sch_netem", lambda: tc.put_root(netlink, _LOOPBACK, "netem", netem, create=True))
            _attempt(failed, "sch_ingress", lambda: tc.add_clsact(netlink, _LOOPBACK))
            if program is not None and "sch_ingress" not in failed:
                _try_filter(failed, netlink, program)
    except KernelRefused as refused:
        failed["CAP_NET_ADMIN"] = str(refused)
    return failed


def _load(failed: dict[str, str]) -> bpf.Program | None:
    try:
        bpf.Value(1).close()
        return bpf.Program(_NO_MATCH)
    except KernelRefused as refused:
        failed["CAP_BPF"] = str(refused)
        return None


def _try_filter(failed: dict[str, str], netlink: Netlink, program: bpf.Program) -> None:
    hook = (_LOOPBACK, tc.EGRESS)
    try:
        tc.add_redirect(netlink, hook, _PREFERENCE, program.descriptor, "probe", bytes(16), _LOOPBACK)
    except KernelRefused as refused:
        failed["act_mirred" if "action" in str(refused).lower() else "cls_bpf"] = str(refused)


def _attempt(failed: dict[str, str], need: str, step: Callable[[], object]) -> None:
    try:
        step()
    except KernelRefused as refused:
        failed[need] = str(refused)


def _may_change_this_network() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_NET_ADMIN & 1)


def _leave_for_a_new_namespace() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return not libc.unshare(_NEW_NETWORK) or not libc.unshare(_NEW_USER | _NEW_NETWORK)


if __name__ == "__main__":
    json.dump(probe(), sys.stdout)
