"""`abort`: a receipt from every host."""

import json
from pathlib import Path

import pytest
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


def test_one_experiment(controller: FakeController, home: Path, experiment: str, run: Run) -> None:
    """By the beginning of its id; every receipt is printed, and the fence stays down."""
    result = run(home, "abort", experiment[:8], "--reason", "enough", "-o", "json")

    report = json.loads(result.out)
    assert result.code == Exit.DONE
    assert [receipt["state"] for receipt in report["receipts"]] == ["clean", "clean", "clean"]
    assert (controller.asked("Abort")[0].reason, controller.fence.up) == ("enough", False)
    assert result.err.splitlines()[-1] == "every host is clean"


def test_everything(controller: FakeController, home: Path, experiment: str, run: Run) -> None:
    """And the fence goes up, which is said."""
    result = run(home, "abort", "--all")

    assert result.code == Exit.DONE
    assert "the fence is up: nothing new starts until `chaosctl fence lift`" in result.out


def test_nothing_to_abort(home: Path, run: Run) -> None:
    """Is no error: nothing runs, as was wished."""
    result = run(home, "abort", "--all")

    assert result.code == Exit.DONE
    assert "nothing was running" in result.out


def test_a_host_that_is_not_proved(controller: FakeController, home: Path, experiment: str, start: Start) -> None:
    """Ctrl-C leaves; the abort stands, and the status and the name say what is not proved."""
    controller.change(lambda: controller.stuck_hosts.add("web2"))

    process = start(home, "abort", experiment)
    process.wait_says("web2 ending, reverting")
    process.interrupt()
    result = process.wait_ended()

    assert result.code == Exit.UNPROVED
    assert "left; the abort stands\nnot proved clean: web2; proved as soon as it answers again" in result.err


def test_a_controller_that_dies_meanwhile(
    controller: FakeController, home: Path, experiment: str, start: Start
) -> None:
    """The same abort is sent again when it is back."""
    controller.change(lambda: controller.stuck_hosts.add("web2"))
    process = start(home, "abort", experiment)
    process.wait_says("web2 ending, reverting")

    controller.stop()
    process.wait_says("trying again for 15s, with the same abort")
    controller.start_again()
    controller.wait_called("Abort", 2)
    controller.release("web2")

    assert process.wait_ended().code == Exit.DONE
    assert len(controller.aborts) == 1


@pytest.mark.parametrize("words", [("abort",), ("abort", "--all", "one")])
def test_one_or_all(nowhere: Path, run: Run, words: tuple[str, ...]) -> None:
    """Never a guess at what should end."""
    result = run(nowhere, *words)

    assert result.code == Exit.INPUT
    assert "give one ID, or --all for everything" in result.err


def test_a_viewer_may_abort(controller: FakeController, experiment: str, run: Run) -> None:
    """Whoever may look may end."""
    assert run(controller.login("vic", "viewer"), "abort", "--all").code == Exit.DONE
