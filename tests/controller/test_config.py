"""controller.yaml: what it says, and what is wrong with it."""

from pathlib import Path

import pytest
from chaos_controller import config
from chaos_controller.config import Config
from chaos_protocol.problems import Refused


def test_two_keys_are_enough() -> None:
    """The rest has defaults."""
    assert config.read({"fleet": "lab", "advertise": "chaos.example"}) == Config("lab", "chaos.example")


# advertise, where people find the API
ADDRESSES = [("chaos.example", "chaos.example:7443"), ("10.0.0.1", "10.0.0.1:7443"), ("fd00::1", "[fd00::1]:7443")]


@pytest.mark.parametrize(("advertise", "address"), ADDRESSES)
def test_what_others_are_told(advertise: str, address: str) -> None:
    """Tokens carry it."""
    assert Config("lab", advertise).api_address == address


def test_all_problems_come_at_once() -> None:
    """Unknown keys, missing ones, values."""
    with pytest.raises(Refused) as caught:
        config.read({"fleet": 7, "listen_on": "x"})

    assert [str(problem) for problem in caught.value.problems] == [
        "listen_on: is not known here; known are fleet, advertise, state, listen, enrol_listen, policy, database",
        "fleet: 7: must be text",
        "advertise: is required",
    ]


# changes, culprit
VALUES = [
    ({"fleet": "La b"}, "fleet"),
    ({"listen": "7443"}, "listen"),
    ({"enrol_listen": "[::]:99999"}, "enrol_listen"),
    ({"advertise": "http://x"}, "advertise"),
]


@pytest.mark.parametrize(("changes", "culprit"), VALUES)
def test_a_bad_value_is_named(changes: dict[str, str], culprit: str) -> None:
    """With how to write it."""
    with pytest.raises(Refused) as caught:
        config.read({"fleet": "lab", "advertise": "localhost"} | changes)

    assert [problem.culprit for problem in caught.value.problems] == [culprit]


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """Absent or no YAML."""
    (tmp_path / "bad.yaml").write_text("fleet: [")

    for name in ("none.yaml", "bad.yaml"):
        with pytest.raises(Refused, match=name):
            config.load(tmp_path / name)
