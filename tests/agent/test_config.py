"""agent.yaml."""

from pathlib import Path

import pytest
from chaos_agent import config
from chaos_protocol.problems import Refused


def load(tmp_path: Path, text: str) -> config.Config:
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    return config.load(path)


def test_no_file_means_defaults(tmp_path: Path) -> None:
    """An agent needs no configuration."""
    loaded = config.load(tmp_path / "absent.yaml")

    assert (str(loaded.state), loaded.listen) == ("/var/lib/chaos-agent", "[::]:7070")
    assert loaded.law.longest_duration_ns == 3600 * 10**9
    assert loaded.settings.agent_port == 7070


def test_the_law_is_read_in_units(tmp_path: Path) -> None:
    """Amounts are compared in the base unit and told as written."""
    law = load(tmp_path, "limits:\n  most: {latency.delay: 1s}\n  only: {latency.interface: 'eth0, eth1'}").law

    assert [str(each) for each in law.problems("latency", {"delay_ns": 2 * 10**9}, 1)] == [
        "delay: 2s: this host's agent.yaml allows at most 1s"
    ]
    assert [each.value for each in law.problems_of_facts("latency", {"interface": "eth0, eth2"})] == ["eth2"]


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """A daemon that does not start says everything that keeps it."""
    text = "listen: nowhere\nlimits:\n  kinds: [latenzy]\n  most: {latency.delay: 1, cpu.load: 5}\n"
    with pytest.raises(Refused) as refused:
        load(tmp_path, text.replace("delay: 1,", "delay: '1',").replace("load: 5", "load: '5'"))

    culprits = [problem.culprit for problem in refused.value.problems]
    assert set(culprits) == {"listen", "limits.kinds", "limits.most.latency.delay", "limits.most.cpu.load"}


@pytest.mark.parametrize(
    "text", ["colour: red", "limits: {longest_duration: 60}", "- a list", "{", "state: [", "protect: 5"]
)
def test_nonsense_is_refused(tmp_path: Path, text: str) -> None:
    """Unknown keys and values without units are refused, not guessed."""
    with pytest.raises(Refused):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("advertise", "address"),
    [("web1", "web1:7070"), ("web1:99", "web1:99"), ("fd00::5", "[fd00::5]:7070"), ("[fd00::5]:8", "[fd00::5]:8")],
)
def test_the_address_to_dial_gets_the_port(tmp_path: Path, advertise: str, address: str) -> None:
    """A name alone is enough."""
    assert load(tmp_path, f'advertise: "{advertise}"').advertise == address
