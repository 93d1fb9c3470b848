"""Where the caller's files are and which controller is meant."""

from pathlib import Path

import pytest
from chaosctl.settings import Settings, home_of, load, store
from chaosctl.stop import Stop


@pytest.mark.parametrize(
    ("environment", "home"),
    [
        pytest.param({"CHAOSCTL_HOME": "/h", "XDG_CONFIG_HOME": "/x"}, Path("/h"), id="named"),
        pytest.param({"XDG_CONFIG_HOME": "/x"}, Path("/x/chaosctl"), id="where-settings-go"),
        pytest.param({}, Path.home() / ".config/chaosctl", id="default"),
    ],
)
def test_home(environment: dict[str, str], home: Path) -> None:
    """$CHAOSCTL_HOME wins, then the desktop's convention."""
    assert home_of(environment) == home


def test_what_login_stores_is_read(tmp_path: Path) -> None:
    """The controller is remembered between commands."""
    store(tmp_path, "chaos.example.org:7700")

    assert load(tmp_path) == Settings(tmp_path, "chaos.example.org:7700")


def test_the_command_line_wins(tmp_path: Path) -> None:
    """--controller counts for this one command."""
    store(tmp_path, "chaos.example.org:7700")

    assert load(tmp_path, "[::1]:7700").controller == "[::1]:7700"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("", "no controller is set; log in with `chaosctl login TOKEN`", id="empty"),
        pytest.param("controller: [", "can't be read", id="no-yaml"),
        pytest.param("just words", "must have keys with values", id="no-keys"),
        pytest.param("controler: a:1", "controler: is not known; known is controller", id="unknown-key"),
        pytest.param("controller: 7", "must be text", id="a-number"),
        pytest.param("controller: host", "must be HOST:PORT", id="no-port"),
        pytest.param("controller: 'host:70000'", "must be HOST:PORT", id="port-too-large"),
        pytest.param("controller: '::1:7700'", "must be HOST:PORT", id="bare-ipv6"),
        pytest.param("controller: 'unix:///run/x:1'", "must be HOST:PORT", id="not-a-host"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: str, says: str) -> None:
    """Before anything is asked, with the culprit and what to do."""
    (tmp_path / "config.yaml").write_text(content)

    with pytest.raises(Stop) as refused:
        load(tmp_path)

    assert says in str(refused.value)
