"""What root types on the controller's host."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from chaos_controller.console import main
from chaos_protocol import enrolment
from click.testing import CliRunner, Result


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    path = tmp_path / "controller.yaml"
    path.write_text(
        f"fleet: lab\nadvertise: localhost\nstate: {tmp_path}/state\n"
        "listen: '127.0.0.1:0'\nenrol_listen: '127.0.0.1:0'\n"
    )
    return path


def typed(yaml: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(yaml), *words])


def test_init_makes_everything_private(yaml: Path, tmp_path: Path) -> None:
    """Keys 0600 in folders 0700."""
    result = typed(yaml, "init")

    state = tmp_path / "state"
    modes = {name: stat.S_IMODE((state / name).stat().st_mode) for name in ("ca", "ca/ca.key", "identity/identity.key")}
    assert result.exit_code == 0
    assert modes == {"ca": 0o700, "ca/ca.key": 0o600, "identity/identity.key": 0o600}


def test_init_overwrites_nothing(yaml: Path, tmp_path: Path) -> None:
    """A second one names what is there and leaves it."""
    typed(yaml, "init")
    key = (tmp_path / "state/ca/ca.key").read_bytes()

    result = typed(yaml, "init")

    assert result.exit_code == 2
    assert "is there already; nothing was changed" in result.stderr
    assert (tmp_path / "state/ca/ca.key").read_bytes() == key


def test_a_login_token_is_all_that_is_on_stdout(yaml: Path) -> None:
    """To be piped to whoever needs it."""
    typed(yaml, "init")

    result = typed(yaml, "login-token", "ada", "--role", "operator")

    token = enrolment.read_token(result.stdout)
    assert (token.name, token.fleet, token.api_address) == ("ada", "lab", "localhost:0")


# words, what is said
SLIPS = [
    pytest.param(["run"], "is not initialised", id="run before init"),
    pytest.param(["login-token", "ada", "--role", "operator"], "is not initialised", id="token before init"),
    pytest.param(["login-token", "Ada!", "--role", "viewer"], "is not initialised", id="name"),
    pytest.param(["login-token", "ada", "--role", "viewer", "--valid", "60"], "has no unit", id="duration"),
    pytest.param(["revoke", "ada", "--role", "operator"], "is not initialised", id="revoke before init"),
]


@pytest.mark.parametrize(("words", "says"), SLIPS)
def test_a_slip_is_answered_without_a_traceback(yaml: Path, words: list[str], says: str) -> None:
    """Culprit, value, remedy, exit code 2."""
    result = typed(yaml, *words)

    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_revoking_nobody_is_said(yaml: Path) -> None:
    """A typo must not look like success."""
    typed(yaml, "init")

    result = typed(yaml, "revoke", "adda", "--role", "operator")

    assert result.exit_code == 2
    assert "adda" in result.stderr


def test_sigterm_stops_it_cleanly(yaml: Path) -> None:
    """Exit code 0, and the log says what goes on without it."""
    typed(yaml, "init")
    command = [sys.executable, "-m", "chaos_controller", "--config", str(yaml), "run"]
    log = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line)
            if "api on port" in line:
                os.kill(process.pid, signal.SIGTERM)

    assert process.returncode == 0
    assert "taken up by the next start" in log[-1]
