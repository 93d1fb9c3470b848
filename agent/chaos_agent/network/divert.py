"""Putting a filter of ours behind everybody else's, reading it back, and taking it and nothing else away.

packet ─▶ clsact ─▶ others' filters ─▶ ours ─▶ no match: on, untouched
                                          └──▶ match: redirected to an engine
"""

import errno
from dataclasses import dataclass

from chaos_agent.contract import FaultFailed
from chaos_agent.host import tc
from chaos_agent.host.netlink import KernelRefused, Netlink
from chaos_agent.network import marks
from chaos_agent.network.clsact import ClsactRecord

FIRST_PREFERENCE, LAST_PREFERENCE = 49153, 65535
"""Above what the kernel gives to a filter added without one, so that others get the same as without us."""

PARENTS = {"egress": tc.EGRESS, "ingress": tc.INGRESS}
TRIES = 5


@dataclass(frozen=True, slots=True)
class Hook:
    """A direction of an interface."""

    index: int
    interface: str
    direction: str

    @property
    def parent(self) -> int:
        return PARENTS[self.direction]

    def __str__(self) -> str:
        return f"{self.direction} of {self.interface}"


def attach(
    netlink: Netlink, record: ClsactRecord, hook: Hook, program: int, injection_id: str, target: int
) -> tc.Filter:
    """Put the filter in, joining or making clsact; read back that it is there."""
    try:
        with record.lock():
            record.join(netlink, hook.index, injection_id)
            made = _add(netlink, hook, program, injection_id, target)
            record.joined(hook.index, injection_id)
    except OSError as error:
        raise FaultFailed(f"{hook}: the record of clsact can't be written: {error}") from error
    complaint = wrong(netlink, made, injection_id, target)
    if complaint:
        raise FaultFailed(f"{hook}: {complaint}")
    return made


def _add(netlink: Netlink, hook: Hook, program: int, injection_id: str, target: int) -> tc.Filter:
    for remaining in reversed(range(TRIES)):
        try:
            return tc.add_redirect(
                netlink,
                (hook.index, hook.parent),
                free_preference(tc.filters(netlink, hook.index, hook.parent)),
                program,
                marks.name(injection_id),
                marks.cookie(injection_id),
                target,
            )
        except KernelRefused as refused:
            if refused.errno != errno.EEXIST or not remaining:
                raise
    raise AssertionError("unreachable")


def free_preference(present: list[tc.Filter]) -> int:
    """The first preference from `FIRST_PREFERENCE` up that nobody has."""
    taken = {found.preference for found in present}
    for preference in range(FIRST_PREFERENCE, LAST_PREFERENCE + 1):
        if preference not in taken:
            return preference
    raise FaultFailed("no preference is free behind the filters that are there")


def wrong(netlink: Netlink, known: tc.Filter, injection_id: str, target: int) -> str:
    """What somebody changed about our filter; empty when it is as we made it."""
    found = tc.read_back(netlink, known)
    if found is None:
        return "our filter is gone"
    if found.name != marks.name(injection_id):
        return f"our filter was replaced by {found.name or 'another'}"
    if found.cookie != marks.cookie(injection_id) or found.target != target:
        return "the action of our filter was changed"
    return ""


def detach(netlink: Netlink, record: ClsactRecord, known: tc.Filter, injection_id: str) -> None:
    """Delete one filter of ours; that it is gone already is no failure."""
    record.leaving(known.index, injection_id)
    try:
        tc.delete_filter(netlink, known)
    except KernelRefused as refused:
        if not refused.absent and refused.errno != errno.EINVAL:
            raise
