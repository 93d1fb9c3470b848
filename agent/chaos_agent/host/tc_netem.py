"""What netem is told and what it says: the delay in whole nanoseconds, with and without the order being kept."""

import struct
from dataclasses import dataclass, replace
from typing import Self

from chaos_agent.host.netlink import attribute, attributes

_RATE, _RATE64, _LATENCY64, _JITTER64 = 6, 8, 10, 11
_OPTIONS = struct.Struct("=6I")  # struct tc_netem_qopt
_RATE_OPTIONS = struct.Struct("=IiIi")  # struct tc_netem_rate
_FAR_ABOVE_ANY_LINK = 125_000_000_000  # bytes a second: 1000gbit. With a rate netem hands packets out in order
_WIDEST_32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Shape:
    """A delay; `limit` is in packets."""

    delay_ns: int
    jitter_ns: int
    limit: int
    in_order: bool = True

    def encode(self) -> bytes:
        """The options of a netem qdisc; those of 64 bits override their rounded elders in the first struct."""
        options = (
            _OPTIONS.pack(0, self.limit, 0, 0, 0, 0)
            + attribute(_LATENCY64, struct.pack("=q", self.delay_ns))
            + attribute(_JITTER64, struct.pack("=q", self.jitter_ns))
        )
        if self.in_order:
            options += attribute(_RATE64, struct.pack("=Q", _FAR_ABOVE_ANY_LINK))
            options += attribute(_RATE, _RATE_OPTIONS.pack(_WIDEST_32, 0, 0, 0))
        return options

    @classmethod
    def decode(cls, options: bytes) -> Self:
        limit = _OPTIONS.unpack_from(options)[1]
        found = attributes(options[_OPTIONS.size :])
        delay, jitter = (struct.unpack("=q", found.get(kind, bytes(8)))[0] for kind in (_LATENCY64, _JITTER64))
        return cls(delay, jitter, limit, _RATE in found and _RATE_OPTIONS.unpack_from(found[_RATE])[0] > 0)

    def scaled(self, share: float) -> Self:
        """The same with a part of the delay, always in order: lowering it must not make packets overtake."""
        return replace(self, delay_ns=int(self.delay_ns * share), jitter_ns=int(self.jitter_ns * share), in_order=True)
