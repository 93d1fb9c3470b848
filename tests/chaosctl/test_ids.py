"""Ids may be abbreviated."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaosctl.client import Client
from chaosctl.ids import whole
from chaosctl.stop import Stop

from tests.fakes.fake_controller import FakeController

SPEC = {"faults": [{"latency": {"delay": "1s"}}], "selection": {"hosts": ["web1"]}}


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    """Two experiments, ids 00000001-… and 00000002-…."""
    with Client.connect(home) as connected:
        connected.run(SPEC)
        connected.run(SPEC)
        yield connected


def test_a_beginning_is_enough(client: Client) -> None:
    """If only one experiment has it."""
    assert whole(client, "00000002") == "00000002-aaaa-bbbb-cccc-0123456789ab"


def test_a_whole_id_is_not_looked_up(controller: FakeController, client: Client) -> None:
    """An abort by a whole id takes the shortest way."""
    whole(client, "0" * 36)

    assert controller.count("ListExperiments") == 0


def test_a_beginning_of_two(client: Client) -> None:
    """Both are named, and none is taken."""
    with pytest.raises(Stop, match=r"is the beginning of 2: 00000001-.*, 00000002-"):
        whole(client, "0000000")


def test_those_that_run_come_first(controller: FakeController, client: Client) -> None:
    """An old experiment never makes the id of a running one ambiguous."""
    controller.finish()
    third = client.run(SPEC)["experiment"]["id"]

    assert whole(client, "0000000") == third


def test_no_such_experiment(client: Client) -> None:
    """And where to look."""
    with pytest.raises(Stop, match="chaosctl list --all"):
        whole(client, "ffff")
