"""`login`: a token becomes an identity."""

import io
import sys
from pathlib import Path

import pytest
from chaos_protocol.v1 import options_pb2
from chaosctl.credentials import load
from chaosctl.exits import Exit
from chaosctl.settings import load as load_settings

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController


def token_of(controller: FakeController, role: options_pb2.Role.ValueType = options_pb2.ROLE_OPERATOR) -> str:
    """A token for bob."""
    return controller.door.token("bob", role)


def test_a_token_becomes_an_identity(controller: FakeController, nowhere: Path, run: Run) -> None:
    """Key made here, certificate from the CA, controller remembered; the next command works."""
    result = run(nowhere, "login", token_of(controller))

    assert result.code == Exit.DONE
    assert result.out.startswith("logged in as operator bob of fleet lab")
    assert load(nowhere)[1].name == "bob"
    assert load_settings(nowhere).controller == controller.address
    assert run(nowhere, "status").code == Exit.DONE


def test_from_standard_input(
    controller: FakeController, nowhere: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the token is in nobody's process list."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(token_of(controller) + "\n"))

    assert run(nowhere, "login", "-").code == Exit.DONE


def test_a_used_token(controller: FakeController, nowhere: Path, run: Run) -> None:
    """Is refused, and nothing is stored."""
    token = token_of(controller)
    controller.door.used = True

    result = run(nowhere, "login", token)

    assert result.code == Exit.LIMIT
    assert "was used" in result.err
    assert not (nowhere / "identity.crt").exists()


def test_nobody_is_replaced_unasked(controller: FakeController, home: Path, run: Run) -> None:
    """An identity that is there stays, unless --replace is given."""
    assert run(home, "login", token_of(controller)).code == Exit.INPUT
    assert run(home, "login", "--replace", token_of(controller)).code == Exit.DONE
    assert load(home)[1].name == "bob"


def test_a_hosts_token(controller: FakeController, nowhere: Path, run: Run) -> None:
    """Is refused with where it belongs."""
    result = run(nowhere, "login", token_of(controller, options_pb2.ROLE_AGENT))

    assert result.code == Exit.INPUT
    assert "chaos-agent enroll TOKEN" in result.err


@pytest.mark.parametrize("text", ["nonsense", "chaos1.", "chaos1.AAAA"])
def test_no_token(nowhere: Path, run: Run, text: str) -> None:
    """A token that was cut is told from one that is refused."""
    result = run(nowhere, "login", text)

    assert result.code == Exit.INPUT
    assert "is no whole token" in result.err


def test_a_door_that_fails(controller: FakeController, nowhere: Path, run: Run) -> None:
    """Status 7, with the address, and nothing is stored."""
    token = token_of(controller)
    controller.door.failing = True

    result = run(nowhere, "login", token)

    assert result.code == Exit.UNREACHABLE
    assert controller.door.address in result.err
    assert not (nowhere / "identity.crt").exists()
