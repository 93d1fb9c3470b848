"""Which interfaces have an nftables hook at their ingress, read from the kernel without the nft tool."""

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from chaos_agent.host.netlink import NETFILTER, KernelRefused, Netlink, as_text, attributes, each_attribute

_SUBSYSTEM = 10 << 8
_GETCHAIN, _GETFLOWTABLE = _SUBSYSTEM | 4, _SUBSYSTEM | 23
_INET, _NETDEV = 1, 5
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK = 1, 3, 4
_FLOWTABLE_TABLE, _FLOWTABLE_NAME, _FLOWTABLE_HOOK = 1, 2, 3
_HOOK_NUMBER, _HOOK_DEVICE, _HOOK_DEVICES, _FLOWTABLE_DEVICES = 1, 3, 4, 3
_INGRESS = {_NETDEV: 0, _INET: 5}
_ABSENT = (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT)


def ingress_hooks() -> list[tuple[str, str]]:
    """Interface and what hangs there, for each ingress chain and flowtable."""
    if not _may_be_in_use():
        return []
    try:
        with Netlink(NETFILTER) as netlink:
            return [*chains(netlink), *flowtables(netlink)]
    except KernelRefused as refused:
        if refused.errno in _ABSENT or refused.absent:
            return []
        raise


def _may_be_in_use() -> bool:
    """False where nf_tables is a module that is not loaded: asking would load it."""
    try:
        loaded = Path("/proc/modules").read_text().splitlines()
    except OSError:
        return True
    if any(line.startswith("nf_tables ") for line in loaded):
        return True
    try:
        builtin = Path(f"/lib/modules/{os.uname().release}/modules.builtin").read_text()
    except OSError:
        return True
    return "/nf_tables.ko" in builtin


def chains(netlink: Netlink) -> Iterator[tuple[str, str]]:
    for family, number in _INGRESS.items():
        for found in _dump(netlink, "list nftables chains", _GETCHAIN, family):
            hook = attributes(found.get(_CHAIN_HOOK, b""))
            if _HOOK_NUMBER in hook and int.from_bytes(hook[_HOOK_NUMBER], "big") == number:
                what = f"nftables chain {as_text(found, _CHAIN_TABLE)} {as_text(found, _CHAIN_NAME)}"
                for device in {as_text(hook, _HOOK_DEVICE), *_names(hook.get(_HOOK_DEVICES, b""))} - {""}:
                    yield device, what


def flowtables(netlink: Netlink) -> Iterator[tuple[str, str]]:
    for found in _dump(netlink, "list nftables flowtables", _GETFLOWTABLE, 0):
        hook = attributes(found.get(_FLOWTABLE_HOOK, b""))
        what = f"nftables flowtable {as_text(found, _FLOWTABLE_TABLE)} {as_text(found, _FLOWTABLE_NAME)}"
        for device in _names(hook.get(_FLOWTABLE_DEVICES, b"")):
            yield device, what


def _dump(netlink: Netlink, doing: str, kind: int, family: int) -> Iterable[dict[int, bytes]]:
    header = struct.pack("=BBH", family, 0, 0)  # struct nfgenmsg
    return [attributes(body[4:]) for body in netlink.dump(doing, kind, header)]


def _names(devices: bytes) -> list[str]:
    return [payload.split(b"\0", 1)[0].decode(errors="replace") for _, payload in each_attribute(devices)]
