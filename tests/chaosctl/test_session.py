"""One invocation."""

from pathlib import Path

import pytest
from chaosctl.session import Session
from chaosctl.stop import Stop

from tests.fakes.fake_controller import FakeController


def test_the_client_is_made_when_first_needed(home: Path) -> None:
    """And once."""
    session = Session(home)

    assert session.client is session.client
    session.close()


def test_without_login_only_the_client_is_refused(nowhere: Path) -> None:
    """Commands that need no controller work for everybody."""
    session = Session(nowhere)

    with pytest.raises(Stop, match="no controller is set"):
        _ = session.client
    session.close()


def test_the_controller_of_the_command_line(controller: FakeController, home: Path) -> None:
    """Wins over the file."""
    session = Session(home, controller="127.0.0.1:1")

    assert session.client.address == "127.0.0.1:1"
    session.close()
