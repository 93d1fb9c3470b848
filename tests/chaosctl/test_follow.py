"""The foreground as a real process against a controller over real mTLS: signals, broken connections, lost answers."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from chaosctl.client import Client
from chaosctl.exits import Exit
from chaosctl.follow import Follower
from chaosctl.following import Following
from chaosctl.live import Board
from chaosctl.stop import Stop

from tests.chaosctl.conftest import Start, Started
from tests.fakes.fake_controller import FakeController

INJECT = ("inject", "latency", "--hosts", "web*", "--delay", "100ms", "-o", "json")


@pytest.fixture
def running(controller: FakeController, home: Path, start: Start) -> Started:
    """`inject` in the foreground, with the fault active on every host."""
    process = start(home, *INJECT)
    process.wait_says("web3 active")
    controller.wait_called("Watch")
    return process


def test_to_the_end(controller: FakeController, running: Started) -> None:
    """The experiment runs out; the result is on stdout, the sentence on stderr, the status 0."""
    controller.finish()

    result = running.wait_ended()

    assert result.code == Exit.DONE
    assert [row["state"] for row in json.loads(result.out)["targets"]] == ["clean", "clean", "clean"]
    assert result.err.splitlines()[-1] == "done; every host is clean (3 of 3 proved)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_abort_and_wait(controller: FakeController, running: Started, number: signal.Signals) -> None:
    """Ctrl-C, a scheduler's TERM and a closing terminal all end the experiment and wait for the proof."""
    controller.change(lambda: controller.stuck_hosts.add("web2"))

    running.interrupt(number)
    running.wait_says("web2 ending, reverting")
    controller.release("web2")
    result = running.wait_ended()

    assert result.code == Exit.ABORTED
    assert result.err.splitlines()[-1] == "aborted; every host is clean (3 of 3 proved)"
    assert controller.asked("Abort")[0].experiment_id == json.loads(result.out)["id"]


def test_a_second_ctrl_c_leaves_at_once(controller: FakeController, running: Started) -> None:
    """Status 6, with the name of the host that is not proved."""
    controller.change(lambda: controller.stuck_hosts.add("web2"))

    running.interrupt()
    running.wait_says("web2 ending, reverting")
    running.interrupt()
    result = running.wait_ended()

    assert result.code == Exit.UNPROVED
    assert "not proved clean: web2; an abort is under way" in result.err.splitlines()[-1]


def test_a_controller_that_comes_back_is_followed_on(controller: FakeController, running: Started) -> None:
    """It dies, starts again at its address, and the experiment ends as if nothing had been."""
    controller.stop()
    running.wait_says("lost the controller")
    controller.start_again()
    running.wait_says("the controller answers again")
    controller.finish()

    assert running.wait_ended().code == Exit.DONE


def test_ctrl_c_while_the_controller_is_away(controller: FakeController, running: Started) -> None:
    """The abort is sent as soon as somebody is there to take it."""
    controller.stop()
    running.wait_says("lost the controller")
    running.interrupt()
    running.wait_says("Ctrl-C: aborting")
    controller.start_again()

    assert running.wait_ended().code == Exit.ABORTED


def test_a_lost_answer_starts_one_experiment(controller: FakeController, home: Path, start: Start) -> None:
    """The call is made again with the same key."""
    controller.lost_answers["Run"] = 1

    process = start(home, *INJECT)
    controller.wait_called("Run")
    controller.stop()
    controller.start_again()
    process.wait_says("web3 active")
    controller.finish()

    assert process.wait_ended().code == Exit.DONE
    assert len(controller.experiments) == 1
    assert len({request.idempotency_key for request in controller.asked("Run")}) == 1


def test_the_caller_promises_to_stay(controller: FakeController, running: Started) -> None:
    """In the foreground the experiment ends 30 s after its caller was last heard of."""
    (request,) = controller.asked("Run")

    assert request.keepalive_ns == 30 * 10**9


def test_a_refusal_is_told_of_the_flags(controller: FakeController, home: Path, start: Start) -> None:
    """What the controller refuses has the flag as its culprit, and stdout stays empty."""
    result = start(home, "inject", "latency", "--hosts", "nope*", "--delay", "100ms").wait_ended()

    assert (result.code, result.out) == (Exit.INPUT, "")
    assert "--hosts ['nope*']  matches no host" in result.err


def test_a_reader_that_left_does_not_end_the_experiment(controller: FakeController, running: Started) -> None:
    """`inject … | head -1`: a closed pipe is no abort and no error; the status still tells."""
    running.close_stdout()
    controller.finish()
    result = running.wait_ended()

    assert result.code == Exit.DONE
    assert "Traceback" not in result.err


class Silent:
    """Nobody looks."""

    def show(self, _: Board) -> None: ...
    def say(self, _: str) -> None: ...


def test_a_bug_of_ours_is_told(home: Path) -> None:
    """Whatever goes wrong while asking ends in a status, never in waiting for ever."""

    def broken(_: Client) -> dict[str, Any]:
        raise ZeroDivisionError

    with Client.connect(home) as client, pytest.raises(Stop, match="run: failed: ZeroDivisionError") as stop:
        Follower(client, Following(owner=True), Silent(), broken).follow()

    assert stop.value.code == Exit.INTERNAL
