"""How what is ours is known: by the injection's id on it, in the kernel. Never guessed."""

from collections.abc import Iterable

from chaos_agent.host import links, tc
from chaos_agent.host.netlink import Netlink

PREFIX = "chaos:"
_DEVICE_PREFIX = "chaos"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MOST_DEVICES = len(_DIGITS)
_HOOKS = (tc.EGRESS, tc.INGRESS)


def name(injection_id: str) -> str:
    """What filters are called, and the alias of devices."""
    return PREFIX + injection_id


def cookie(injection_id: str) -> bytes:
    return bytes.fromhex(injection_id.replace("-", ""))


def device(injection_id: str, number: int) -> str:
    """The name of an injection's device: as much of the id as 15 characters leave room for."""
    return _DEVICE_PREFIX + injection_id.replace("-", "")[:9] + _DIGITS[number]


def is_device(link: links.Link) -> bool:
    return link.kind == "ifb" and link.alias.startswith(PREFIX)


def devices(netlink: Netlink, injection_id: str) -> list[links.Link]:
    """Our ifbs, also one whose maker died before it got its alias."""
    stem = device(injection_id, 0)[:-1]
    return [
        link
        for link in links.links(netlink)
        if link.kind == "ifb"
        and (link.alias == name(injection_id) or (not link.alias and not link.up and link.name[:-1] == stem))
    ]


def filters(netlink: Netlink, injection_id: str, indexes: Iterable[int] = ()) -> list[tc.Filter]:
    """Our filters, on the given interfaces or, without them, on all."""
    return [
        found
        for found in _all_filters(netlink, indexes)
        if found.kind == "bpf" and found.name == name(injection_id) and found.cookie in (b"", cookie(injection_id))
    ]


def _all_filters(netlink: Netlink, indexes: Iterable[int]) -> list[tc.Filter]:
    chosen = set(indexes) or {qdisc.index for qdisc in tc.qdiscs(netlink) if qdisc.kind in ("clsact", "ingress")}
    return [found for index in sorted(chosen) for hook in _HOOKS for found in tc.filters(netlink, index, hook)]


def anything(netlink: Netlink, index: int) -> bool:
    """Whether a filter of any injection is on an interface."""
    return any(found.name.startswith(PREFIX) for found in _all_filters(netlink, (index,)))


def all_marks() -> list[str]:
    """The ids of all injections that have something in this host's kernel."""
    with Netlink() as netlink:
        marked = {found.name for found in _all_filters(netlink, ()) if found.kind == "bpf"}
        marked |= {link.alias for link in links.links(netlink) if link.kind == "ifb"}
    return sorted(mark.removeprefix(PREFIX) for mark in marked if mark.startswith(PREFIX))
