"""The mean delay that packets really see, from how many wait and how many come."""

from chaos_agent.network.mean import MeanDelay

SECOND = 10**9


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def test_is_what_waits_divided_by_what_comes() -> None:
    """With 500 packets a second and 30 of them waiting, each waits 60 ms."""
    clock = Clock()
    mean = MeanDelay(clock)

    for second in range(1, 11):
        clock.ns = second * SECOND
        found = mean.sample(waiting=30, matched=500 * second)

    assert found == {"mean_delay_ns": 60_000_000}


def test_a_few_packets_tell_nothing() -> None:
    """Rather no figure than one that is chance."""
    clock = Clock()
    mean = MeanDelay(clock)

    for second in range(1, 11):
        clock.ns = second * SECOND
        assert mean.sample(waiting=1, matched=10 * second) == {}
