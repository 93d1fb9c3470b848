"""Tokens, and taking certificates back."""

import json
from pathlib import Path

from chaos_protocol.v1 import options_pb2
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController


def test_a_hosts_token_is_alone_on_stdout(controller: FakeController, home: Path, run: Run) -> None:
    """So that it can be piped on; what to do with it is on stderr."""
    result = run(home, *["enroll-token", "web9", "--label", "role=web,zone=a", "--label", "rack=7", "--valid", "2h"])

    (request,) = controller.asked("CreateToken")
    assert result.out == "chaos1.agent-web9\n"
    assert "chaos-agent enroll TOKEN" in result.err
    assert dict(request.labels) == {"role": "web", "zone": "a", "rack": "7"}
    assert request.valid_ns == 2 * 3600 * 10**9


def test_a_persons_token(home: Path, run: Run) -> None:
    """With its role; in JSON with its end."""
    reply = json.loads(run(home, *["login-token", "bob", "--role", "viewer", "-o", "json"]).out)

    assert reply["token"] == "chaos1.viewer-bob"
    assert reply["expires"].endswith("Z")


def test_bad_requests(home: Path, run: Run) -> None:
    """Flags are the culprits."""
    assert "--valid 1  has no unit" in run(home, *["enroll-token", "web9", "--valid", "1"]).err
    assert "--label web  must be KEY=VALUE" in run(home, *["enroll-token", "web9", "--label", "web"]).err
    assert "--role  is required" in run(home, *["login-token", "bob"]).err


def test_revoke(controller: FakeController, home: Path, run: Run) -> None:
    """In one role, never by a guess; what was taken back is printed."""
    result = run(home, "revoke", "web1", "--role", "agent")

    (request,) = controller.asked("Revoke")
    assert result.out.startswith("revoked abab")
    assert (request.name, request.role) == ("web1", options_pb2.ROLE_AGENT)
    assert run(home, "revoke", "web1").code == Exit.INPUT
