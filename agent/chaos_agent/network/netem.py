"""The kernel's engine: netem on an ifb, which survives every process of ours."""

from typing import Self

from chaos_agent.host import links, tc
from chaos_agent.host.netlink import KernelRefused, Netlink
from chaos_agent.host.tc_netem import Shape
from chaos_agent.network import marks
from chaos_agent.network.engine import Queue


class NetemEngine:
    """An ifb of ours with netem as its root qdisc."""

    def __init__(self, netlink: Netlink, index: int, injection_id: str) -> None:
        self._netlink, self._index, self._id = netlink, index, injection_id
        self._meant: Shape | None = None

    @classmethod
    def start(cls, netlink: Netlink, name: str, injection_id: str, shape: Shape) -> Self:
        engine = cls(netlink, links.make_ifb(netlink, name, marks.name(injection_id)), injection_id)
        tc.put_root(netlink, engine.index, "netem", shape.encode(), create=True)
        links.set_up(netlink, engine.index)
        engine._meant = shape
        return engine

    @property
    def index(self) -> int:
        return self._index

    def wrong(self) -> str:
        device = links.link(self._netlink, self._index)
        if device is None or device.alias != marks.name(self._id):
            return f"our ifb (interface {self._index}) is gone"
        if not device.up:
            return f"our ifb {device.name} was set down"
        queue = self.queue()
        if queue is None:
            return f"netem is gone from our ifb {device.name}"
        if self._meant is not None and queue.shape != self._meant:
            return f"netem of our ifb {device.name} was changed: {queue.shape} instead of {self._meant}"
        return ""

    def change(self, shape: Shape) -> None:
        tc.put_root(self._netlink, self._index, "netem", shape.encode(), create=False)
        self._meant = shape

    def queue(self) -> Queue | None:
        root = tc.root_qdisc(self._netlink, self._index)
        if root is None or root.kind != "netem":
            return None
        return Queue(root.qlen, root.backlog, root.drops, Shape.decode(root.options))

    def inside(self) -> int:
        """In netem, and between the ifb's transmission and its giving back."""
        device = links.link(self._netlink, self._index)
        if device is None:
            return 0
        counters = device.counters
        passing = counters["rx_packets"] - counters["rx_dropped"] - counters["tx_packets"]
        root = tc.root_qdisc(self._netlink, self._index)
        return (root.qlen if root else 0) + max(0, passing)

    def end(self) -> None:
        try:
            links.delete_link(self._netlink, self._index)
        except KernelRefused as refused:
            if not refused.absent:
                raise


def find(netlink: Netlink, injection_id: str) -> list[NetemEngine]:
    """The engines of an injection, by their marks."""
    return [NetemEngine(netlink, link.index, injection_id) for link in marks.devices(netlink, injection_id)]
