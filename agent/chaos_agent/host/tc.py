"""Traffic control: qdiscs and filters as the kernel has them, and the adding and deleting of single ones of ours.

Nothing here deletes a filter without naming it whole: interface, parent, preference, protocol, kind and handle.
"""

import errno
import socket
import struct
from dataclasses import dataclass

from chaos_agent.host.netlink import (
    CREATE,
    EXCL,
    KernelRefused,
    Netlink,
    as_int,
    as_text,
    attribute,
    attributes,
    each_attribute,
    nested,
    text,
    u32,
)

ROOT, CLSACT_PARENT, CLSACT_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3

_NEWQDISC, _DELQDISC, _GETQDISC = 36, 37, 38
_NEWFILTER, _DELFILTER, _GETFILTER, _GETCHAIN = 44, 45, 46, 102
_KIND, _OPTIONS, _STATS2, _CHAIN, _INGRESS_BLOCK, _EGRESS_BLOCK = 1, 2, 7, 11, 13, 14
_STATS_BASIC, _STATS_QUEUE, _STATS_PKT64 = 1, 3, 8
_BPF_ACT, _BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_FLAGS_GEN = 1, 6, 7, 8, 9
_ACT_KIND, _ACT_OPTIONS, _ACT_STATS, _ACT_COOKIE = 1, 2, 4, 6
_MIRRED_PARMS, _EGRESS_REDIR, _ACT_STOLEN = 2, 1, 4
_DIRECT_ACTION, _SKIP_HARDWARE = 1, 1
_ALL_PROTOCOLS = socket.htons(0x0003)  # ETH_P_ALL, as the kernel wants it
_MIRRED = struct.Struct("=IIiiiiI")
_TCM = struct.Struct("=BxxxiIII")  # struct tcmsg


@dataclass(frozen=True, slots=True)
class Qdisc:
    """One queueing discipline; `shared` where a block of filters is shared with other interfaces."""

    index: int
    handle: int
    parent: int
    kind: str
    options: bytes = b""
    shared: bool = False
    packets: int = 0
    sent_bytes: int = 0
    qlen: int = 0
    backlog: int = 0
    drops: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter. `target` is where its first action redirects to, `matched` that action's own count."""

    index: int
    parent: int
    preference: int
    protocol: int
    kind: str
    handle: int
    chain: int = 0
    name: str = ""
    direct_action: bool = False
    cookie: bytes = b""
    target: int = 0
    matched_packets: int = 0
    matched_bytes: int = 0
    undelivered: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """The statistics every qdisc and action has."""

    packets: int
    sent_bytes: int
    qlen: int
    backlog: int
    drops: int
    overlimits: int


def read_counts(payload: bytes) -> Counts:
    found = attributes(payload)
    sent, packets = struct.unpack_from("=QI", found.get(_STATS_BASIC, b"").ljust(12, b"\0"))
    queue = struct.unpack_from("=5I", found.get(_STATS_QUEUE, b"").ljust(20, b"\0"))
    return Counts(as_int(found, _STATS_PKT64, packets), sent, queue[0], queue[1], queue[2], queue[4])


def read_qdisc(body: bytes) -> Qdisc:
    _, index, handle, parent, _ = _TCM.unpack_from(body)
    found = attributes(body[_TCM.size :])
    counts = read_counts(found.get(_STATS2, b""))
    return Qdisc(
        index=index,
        handle=handle,
        parent=parent,
        kind=as_text(found, _KIND),
        options=found.get(_OPTIONS, b""),
        shared=_INGRESS_BLOCK in found or _EGRESS_BLOCK in found,
        packets=counts.packets,
        sent_bytes=counts.sent_bytes,
        qlen=counts.qlen,
        backlog=counts.backlog,
        drops=counts.drops,
    )


def qdiscs(netlink: Netlink, index: int = 0) -> list[Qdisc]:
    """All qdiscs, or those of one interface."""
    found = [read_qdisc(body) for body in netlink.dump("list qdiscs", _GETQDISC, _TCM.pack(0, index, 0, 0, 0))]
    return [qdisc for qdisc in found if index in (0, qdisc.index)]


def root_qdisc(netlink: Netlink, index: int) -> Qdisc | None:
    """By dump: a single one would be answered with a notification to everybody who listens."""
    return next((qdisc for qdisc in qdiscs(netlink, index) if qdisc.parent == ROOT), None)


def add_clsact(netlink: Netlink, index: int) -> None:
    body = _TCM.pack(0, index, CLSACT_HANDLE, CLSACT_PARENT, 0) + text(_KIND, "clsact")
    netlink.request(f"add clsact to interface {index}", _NEWQDISC, CREATE | EXCL, body)


def delete_clsact(netlink: Netlink, index: int) -> None:
    body = _TCM.pack(0, index, CLSACT_HANDLE, CLSACT_PARENT, 0) + text(_KIND, "clsact")
    netlink.request(f"delete clsact of interface {index}", _DELQDISC, 0, body)


def put_root(netlink: Netlink, index: int, kind: str, options: bytes, create: bool) -> None:
    """Set the root qdisc of a device of ours, or change the one that is there."""
    body = _TCM.pack(0, index, 0x10000 if create else 0, ROOT, 0) + text(_KIND, kind) + attribute(_OPTIONS, options)
    doing = f"{'add' if create else 'change'} {kind} of interface {index}"
    netlink.request(doing, _NEWQDISC, CREATE | EXCL if create else 0, body)


def read_filter(body: bytes) -> Filter:
    _, index, handle, parent, info = _TCM.unpack_from(body)
    found = attributes(body[_TCM.size :])
    kind = as_text(found, _KIND)
    plain = Filter(index, parent, info >> 16, info & 0xFFFF, kind, handle, as_int(found, _CHAIN))
    return _read_bpf(plain, attributes(found.get(_OPTIONS, b""))) if kind == "bpf" and handle else plain


def _read_bpf(plain: Filter, options: dict[int, bytes]) -> Filter:
    first = next((payload for _, payload in each_attribute(options.get(_BPF_ACT, b""))), b"")
    action = attributes(first)
    counts = read_counts(action.get(_ACT_STATS, b""))
    target = 0
    if as_text(action, _ACT_KIND) == "mirred":
        parms = attributes(action.get(_ACT_OPTIONS, b"")).get(_MIRRED_PARMS, b"")
        target = _MIRRED.unpack_from(parms)[6] if len(parms) >= _MIRRED.size else 0
    return Filter(
        plain.index,
        plain.parent,
        plain.preference,
        plain.protocol,
        plain.kind,
        plain.handle,
        plain.chain,
        name=as_text(options, _BPF_NAME),
        direct_action=bool(as_int(options, _BPF_FLAGS) & _DIRECT_ACTION),
        cookie=action.get(_ACT_COOKIE, b""),
        target=target,
        matched_packets=counts.packets,
        matched_bytes=counts.sent_bytes,
        undelivered=counts.overlimits,
    )


def filters(netlink: Netlink, index: int, parent: int) -> list[Filter]:
    """All that the kernel lists for one hook, the head of each group (handle 0) too; none where there is no hook."""
    try:
        found = netlink.dump(f"list filters of interface {index}", _GETFILTER, _TCM.pack(0, index, 0, parent, 0))
    except KernelRefused as refused:
        if refused.absent or refused.errno == errno.EINVAL:
            return []
        raise
    return [read_filter(body) for body in found]


def chains(netlink: Netlink, index: int, parent: int) -> list[int]:
    """Numbers of the chains of one hook; chain 0 is always there."""
    try:
        found = netlink.dump(f"list chains of interface {index}", _GETCHAIN, _TCM.pack(0, index, 0, parent, 0))
    except KernelRefused as refused:
        if refused.absent or refused.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return []
        raise
    return [as_int(attributes(body[_TCM.size :]), _CHAIN) for body in found]


def read_back(netlink: Netlink, known: Filter) -> Filter | None:
    """The filter that now is where `known` was, with its present counts."""
    body = _TCM.pack(0, known.index, known.handle, known.parent, known.preference << 16 | known.protocol)
    try:
        found = netlink.get("read filter", _GETFILTER, body + text(_KIND, known.kind))
    except KernelRefused as refused:
        if refused.errno == errno.EINVAL:  # so the kernel puts that the hook itself is gone
            return None
        raise
    return read_filter(found) if found else None


def add_redirect(
    netlink: Netlink, hook: tuple[int, int], preference: int, program: int, name: str, cookie: bytes, target: int
) -> Filter:
    """Add a filter that sends what `program` matches out of interface `target`."""
    index, parent = hook
    mirred = _MIRRED.pack(0, 0, _ACT_STOLEN, 0, 0, _EGRESS_REDIR, target)
    action = nested(
        1,
        text(_ACT_KIND, "mirred"),
        attribute(_ACT_COOKIE, cookie),
        nested(_ACT_OPTIONS, attribute(_MIRRED_PARMS, mirred)),
    )
    options = nested(
        _OPTIONS,
        nested(_BPF_ACT, action),
        u32(_BPF_FD, program),
        text(_BPF_NAME, name),
        u32(_BPF_FLAGS_GEN, _SKIP_HARDWARE),
    )
    made = Filter(index, parent, preference, _ALL_PROTOCOLS, "bpf", 1)
    body = _TCM.pack(0, index, made.handle, parent, preference << 16 | _ALL_PROTOCOLS) + text(_KIND, "bpf") + options
    netlink.request(f"add filter {name} to interface {index}", _NEWFILTER, CREATE | EXCL, body)
    return made


def delete_filter(netlink: Netlink, known: Filter) -> None:
    info = known.preference << 16 | known.protocol
    body = _TCM.pack(0, known.index, known.handle, known.parent, info) + text(_KIND, known.kind)
    if known.chain:
        body += u32(_CHAIN, known.chain)
    netlink.request(f"delete filter {known.name} of interface {known.index}", _DELFILTER, 0, body)
