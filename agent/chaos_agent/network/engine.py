"""What a diversion needs of the thing it diverts packets to, so that netem is not the only one there can be."""

from dataclasses import dataclass
from typing import Protocol

from chaos_agent.host.tc_netem import Shape


@dataclass(frozen=True, slots=True)
class Queue:
    """What an engine holds now, what it lost since it began, and how it impairs, as the kernel has it."""

    packets: int
    octets: int
    dropped: int
    shape: Shape


class Engine(Protocol):
    """Takes the packets that are redirected to interface `index` and gives each back to where it came from, later."""

    @property
    def index(self) -> int: ...

    def wrong(self) -> str:
        """Why packets may not be sent here; empty when all is as it was made."""

    def change(self, shape: Shape) -> None: ...

    def queue(self) -> Queue | None:
        """Nothing where the engine is gone."""

    def inside(self) -> int:
        """How many packets would be lost if it were ended now."""

    def end(self) -> None:
        """Take it away, with whatever is inside."""
