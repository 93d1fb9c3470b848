"""What nftables hangs at an interface's ingress, as the kernel tells it."""

from collections.abc import Iterator

import pytest
from chaos_agent.host.nftables import ingress_hooks

from tests.fakes.network import Host, pair
from tests.fakes.nftables import INET, NETDEV, add_ingress_chain


@pytest.fixture
def here() -> Iterator[Host]:
    with pair() as (here, _):
        yield here


def test_nothing_where_nothing_hangs(here: Host) -> None:
    """A host without such chains has none."""
    with here.inside():
        assert ingress_hooks() == []


@pytest.mark.parametrize("family", [NETDEV, INET])
def test_an_ingress_chain(here: Host, family: int) -> None:
    """Chains of both families that can hook an interface's ingress are found, once each."""
    with here.inside():
        add_ingress_chain("guard", "early", "eth0", family)

        assert ingress_hooks() == [("eth0", "nftables chain guard early")]
