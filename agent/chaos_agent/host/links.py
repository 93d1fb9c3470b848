"""Network interfaces as the kernel has them, and the making and deleting of ifb devices."""

import fcntl
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos_agent.host.netlink import (
    CREATE,
    EXCL,
    KernelRefused,
    Netlink,
    as_int,
    as_text,
    attribute,
    attributes,
    nested,
    text,
    u32,
)

_NEWLINK, _DELLINK, _GETLINK, _SETLINK, _GETROUTE = 16, 17, 18, 19, 26
_IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _IFALIAS, _STATS64, _AF_SPEC = 3, 4, 5, 10, 18, 20, 23, 26
_NUM_TX_QUEUES, _NUM_RX_QUEUES, _LINK_NETNSID = 31, 32, 37
_INFO_KIND = 1
_INET6_ADDR_GEN_MODE, _ADDR_GEN_NONE = 8, 1
_UP, _LOOPBACK = 0x1, 0x8
_INFO = struct.Struct("=BxHiII")  # struct ifinfomsg
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_RTA_OIF, _RTA_MULTIPATH, _RTA_TABLE, _MAIN_TABLE, _UNICAST = 4, 9, 15, 254, 1
_SIOCETHTOOL, _GET_SETTINGS = 0x8946, 0x1
_COUNTERS = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped")


@dataclass(frozen=True, slots=True)
class Link:
    """One interface. `lower` is the index of what it stands on (0: nothing), `master` of what it is enslaved to."""

    index: int
    name: str
    up: bool = False
    loopback: bool = False
    kind: str = ""
    alias: str = ""
    mtu: int = 1500
    lower: int = 0
    master: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)


def read_link(body: bytes) -> Link:
    _, _, index, flags, _ = _INFO.unpack_from(body)
    found = attributes(body[_INFO.size :])
    counters = found.get(_STATS64, b"")
    return Link(
        index=index,
        name=as_text(found, _IFNAME),
        up=bool(flags & _UP),
        loopback=bool(flags & _LOOPBACK),
        kind=as_text(attributes(found.get(_LINKINFO, b"")), _INFO_KIND),
        alias=as_text(found, _IFALIAS),
        mtu=as_int(found, _MTU, 1500),
        # With a namespace id the index is one of another namespace (veth): nothing here stands under it.
        lower=0 if _LINK_NETNSID in found else as_int(found, _LINK),
        master=as_int(found, _MASTER),
        counters=dict(zip(_COUNTERS, struct.unpack_from("=8Q", counters), strict=True)) if len(counters) >= 64 else {},
    )


def links(netlink: Netlink) -> list[Link]:
    return [read_link(body) for body in netlink.dump("list interfaces", _GETLINK, _INFO.pack(0, 0, 0, 0, 0))]


def link(netlink: Netlink, index: int) -> Link | None:
    body = netlink.get(f"read interface {index}", _GETLINK, _INFO.pack(0, 0, index, 0, 0))
    return read_link(body) if body else None


def default_route_interfaces(netlink: Netlink) -> set[int]:
    """Indexes of what carries the default routes of the main table, of both families."""
    found: set[int] = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        for body in netlink.dump("list routes", _GETROUTE, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            found |= _default_route_interfaces(body, family)
    return found


def _default_route_interfaces(body: bytes, family: int) -> set[int]:
    of, destination_length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    known = attributes(body[_ROUTE.size :])
    if of != family or destination_length or kind != _UNICAST or as_int(known, _RTA_TABLE, table) != _MAIN_TABLE:
        return set()
    hops = known.get(_RTA_MULTIPATH, b"")
    found = {as_int(known, _RTA_OIF)}
    while len(hops) >= 8:  # struct rtnexthop
        length, _, _, index = struct.unpack_from("=HBBi", hops)
        found.add(index)
        hops = hops[max(8, length + (-length % 4)) :]
    return found - {0}


def make_ifb(netlink: Netlink, name: str, alias: str) -> int:
    """Make an ifb, down, that will send nothing of its own; its index."""
    body = _INFO.pack(0, 0, 0, 0, 0) + text(_IFNAME, name) + u32(_NUM_TX_QUEUES, 1) + u32(_NUM_RX_QUEUES, 1)
    netlink.request(f"make {name}", _NEWLINK, CREATE | EXCL, body + nested(_LINKINFO, attribute(_INFO_KIND, b"ifb")))
    index = next(found.index for found in links(netlink) if found.name == name)
    # The kernel takes neither with the first request; the alias comes first because it says whose this is.
    netlink.request(f"name {name}", _SETLINK, 0, _INFO.pack(0, 0, index, 0, 0) + text(_IFALIAS, alias))
    quiet = nested(_AF_SPEC, nested(socket.AF_INET6, attribute(_INET6_ADDR_GEN_MODE, bytes([_ADDR_GEN_NONE]))))
    try:
        netlink.request(f"quiet {name}", _SETLINK, 0, _INFO.pack(0, 0, index, 0, 0) + quiet)
    except KernelRefused:
        if socket.has_ipv6 and _speaks_ipv6():
            raise
    return index


def _speaks_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def set_up(netlink: Netlink, index: int) -> None:
    netlink.request(f"set interface {index} up", _SETLINK, 0, _INFO.pack(0, 0, index, _UP, _UP))


def delete_link(netlink: Netlink, index: int) -> None:
    netlink.request(f"delete interface {index}", _DELLINK, 0, _INFO.pack(0, 0, index, 0, 0))


def speed_mbit(name: str) -> int | None:
    """What the driver says its speed is; `None` where it does not know (most virtual ones)."""
    import ctypes  # only here, so that the undo does without it

    command = ctypes.create_string_buffer(struct.pack("=I", _GET_SETTINGS), 44)  # struct ethtool_cmd
    request = struct.pack("16sP", name.encode(), ctypes.addressof(command)).ljust(40, b"\0")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCETHTOOL, request)
    except OSError:
        return None
    low, high = struct.unpack_from("=H", command.raw, 12)[0], struct.unpack_from("=H", command.raw, 28)[0]
    return low | high << 16 if 0 < low | high << 16 < 0xFFFF0000 and low != 0xFFFF else None
