"""One fleet for all tests; after each, every host must be as it was before."""

from collections.abc import Iterator

import pytest

from tests.system.fleet import HOSTS, Fleet, picture


@pytest.fixture(scope="session")
def whole_fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def fleet(whole_fleet: Fleet) -> Iterator[Fleet]:
    """The controller's client. A test that leaves anything on any host fails."""
    before = {host: picture(host) for host in HOSTS}
    yield whole_fleet
    whole_fleet.make_whole()
    whole_fleet.make_clean()
    assert before == {host: picture(host) for host in HOSTS}
