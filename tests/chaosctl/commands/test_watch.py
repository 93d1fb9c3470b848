"""`watch`: looking on."""

import json
from pathlib import Path

import pytest
import yaml
from chaosctl.client import Client
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run, Start
from tests.fakes.fake_controller import FakeController

SPEC = {"faults": [{"latency": {"delay": "1s"}}], "selection": {"hosts": ["web*"]}}


@pytest.fixture
def experiment(home: Path) -> str:
    """The id of an experiment that runs on three hosts."""
    with Client.connect(home) as client:
        return str(client.run(SPEC)["experiment"]["id"])


def test_ctrl_c_only_stops_watching(controller: FakeController, home: Path, experiment: str, start: Start) -> None:
    """It says so, and nothing is aborted."""
    process = start(home, "watch", experiment)
    process.wait_says("web3 active")
    process.interrupt()
    result = process.wait_ended()

    assert result.code == Exit.DONE
    assert "stopped watching; experiment 00000001 goes on" in result.err
    assert controller.count("Abort") == 0


def test_to_the_end(controller: FakeController, home: Path, experiment: str, start: Start) -> None:
    """It ends as the experiment did, with the experiment on stdout."""
    process = start(home, "watch", experiment)
    process.wait_says("web3 active")
    controller.finish("ABORTED", "GUARD")
    result = process.wait_ended()

    assert result.code == Exit.ABORTED
    assert "aborted (guard)" in result.out


def test_an_experiment_that_is_over(controller: FakeController, home: Path, experiment: str, run: Run) -> None:
    """Is shown, and that is all."""
    controller.finish()

    assert run(home, "watch", experiment).code == Exit.DONE


@pytest.mark.parametrize(
    ("output", "read"),
    [
        ("json", lambda text: [json.loads(line) for line in text.splitlines()]),
        ("yaml", lambda text: list(yaml.safe_load_all(text))),
    ],
)
def test_every_change_for_programs(
    controller: FakeController, home: Path, experiment: str, start: Start, output: str, read: object
) -> None:
    """A line of JSON, or a document of YAML, for each."""
    process = start(home, "watch", experiment, "-o", output)
    controller.wait_called("Watch")
    controller.finish()
    result = process.wait_ended()

    assert callable(read)
    assert [state["state"] for state in read(result.out)] == ["running", "completed"]
