"""One fleet for all tests; after each, every host must be as it was before."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.system.fleet import HOSTS, Fleet, pictures
from tests.system.sockets import Endpoint, Endpoints


@pytest.fixture(scope="session")
def whole_fleet() -> Fleet:
    return Fleet()


@pytest.fixture(scope="module")
def found_by_module(whole_fleet: Fleet) -> None:
    """Tests of other files may have loaded modules of the kernel that put a device (tunl0) into every namespace."""
    whole_fleet.as_found = pictures()


@pytest.fixture
def fleet(whole_fleet: Fleet, found_by_module: None) -> Iterator[Fleet]:
    """The controller's client. A test that leaves anything on any host fails."""
    yield whole_fleet
    whole_fleet.make_whole()
    whole_fleet.make_clean()
    # What was found after the test before is what this one began with.
    before, whole_fleet.as_found = whole_fleet.as_found, pictures()
    assert before == whole_fleet.as_found


@pytest.fixture(scope="session")
def endpoints() -> Iterator[Endpoints]:
    """A process with sockets on each machine."""
    with ExitStack() as ending:
        yield {machine: ending.enter_context(Endpoint(machine)) for machine in ("controller", "gw", *HOSTS)}
