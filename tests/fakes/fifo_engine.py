"""An engine for kernels without netem: an ifb of ours with a plain queue, which delays nothing."""

from typing import Self

from chaos_agent.host import links, tc
from chaos_agent.host.netlink import Netlink
from chaos_agent.host.tc_netem import Shape
from chaos_agent.network import marks
from chaos_agent.network.engine import Queue
from chaos_agent.network.netem import NetemEngine


class FifoEngine(NetemEngine):
    """Remembers the shape it was told; all else is the kernel's."""

    @classmethod
    def start(cls, netlink: Netlink, name: str, injection_id: str, shape: Shape) -> Self:
        engine = cls(netlink, links.make_ifb(netlink, name, marks.name(injection_id)), injection_id)
        tc.put_root(netlink, engine.index, "pfifo", bytes([100, 0, 0, 0]), create=True)
        links.set_up(netlink, engine.index)
        engine._meant = shape
        return engine

    def change(self, shape: Shape) -> None:
        self._meant = shape

    def queue(self) -> Queue | None:
        root = tc.root_qdisc(self._netlink, self.index)
        if root is None or root.kind != "pfifo" or self._meant is None:
            return None
        return Queue(root.qlen, root.backlog, root.drops, self._meant)
