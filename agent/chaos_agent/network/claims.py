"""Which packets an injection holds for itself: a second one that would delay the same packets is refused by name."""

from collections.abc import Iterable
from dataclasses import dataclass

from chaos_agent.contract import Claim
from chaos_agent.host.links import Link
from chaos_agent.network.selectors import Selectors

_CARRIED_AS_THEY_ARE = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")
"""Kinds whose packets pass the interface below with the same addresses and ports; tunnels' don't."""


@dataclass(frozen=True, slots=True)
class PacketsClaim:
    """`below` are all interfaces that the packets of interface `index` may also pass, itself among them."""

    name: str
    index: int
    direction: str
    below: frozenset[int]
    selectors: Selectors

    def overlaps(self, other: Claim) -> bool:
        return (
            isinstance(other, PacketsClaim)
            and self.direction == other.direction
            and (self.index in other.below or other.index in self.below)
            and self.selectors.overlaps(other.selectors)
        )

    def __str__(self) -> str:
        return f"{self.name}: {self.selectors}"


def stands_on(index: int, present: Iterable[Link]) -> frozenset[int]:
    """The interface and all below it: a VLAN's parent, a bridge's ports, a bond's slaves, and what those stand on."""
    present = list(present)
    found, news = {index}, {index}
    while news:
        news = {lower for upper in news for lower in _directly_below(upper, present)} - found
        found |= news
    return frozenset(found)


def _directly_below(index: int, present: Iterable[Link]) -> set[int]:
    slaves = {link.index for link in present if link.master == index}
    carriers = {link.lower for link in present if link.index == index and link.kind in _CARRIED_AS_THEY_ARE}
    return slaves | carriers - {0}
