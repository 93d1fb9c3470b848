"""`list` and `show`."""

import json
from pathlib import Path

from chaos_protocol import document
from chaosctl.client import Client
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController

SPEC = {"faults": [{"latency": {"delay": "1s"}}], "selection": {"hosts": ["web*"]}}


def test_nothing_runs(home: Path, run: Run) -> None:
    """Says so, and how to see more."""
    assert run(home, "list").out == "nothing runs; `chaosctl list --all` shows what is over\n"


def test_those_that_run_and_all(controller: FakeController, home: Path, run: Run) -> None:
    """What is over is left out unless asked for."""
    with Client.connect(home) as client:
        client.run(SPEC)
        controller.finish()
        client.run(SPEC)

    running, every = run(home, "list").out, run(home, "list", "--all").out

    assert ("00000001" in running, "00000002" in running) == (False, True)
    assert "00000001" in every


def test_one(controller: FakeController, home: Path, run: Run) -> None:
    """By the beginning of its id, in the shape of the API."""
    with Client.connect(home) as client:
        client.run(SPEC)

    shown = json.loads(run(home, "-o", "json", "show", "00000001").out)

    (experiment,) = controller.experiments.values()
    assert shown == document.write(experiment)


def test_none_of_that_id(home: Path, run: Run) -> None:
    """Status 2."""
    assert run(home, "show", "ffff").code == Exit.INPUT
