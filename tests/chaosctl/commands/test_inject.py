"""`inject` and `plan`, as printed."""

import json
from pathlib import Path

from chaos_protocol import document
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController

WORDS = ("latency", "--hosts", "web*", "--delay", "100ms")


def test_detached(controller: FakeController, home: Path, run: Run) -> None:
    """The experiment is printed and goes on without us: no keepalive, nobody watches."""
    result = run(home, "inject", *WORDS, "--detach", "-o", "json")

    (experiment,) = controller.experiments.values()
    assert result.code == Exit.DONE
    assert json.loads(result.out) == document.write(experiment)
    assert controller.asked("Run")[0].keepalive_ns == 0
    assert controller.count("Watch") == 0


def test_a_plan_is_printed_whole(controller: FakeController, home: Path, run: Run) -> None:
    """-o json is the shape of the API; for people the next command is on stderr."""
    result = run(home, "plan", *WORDS, "-o", "json")

    plan = json.loads(result.out)
    assert plan == document.write(controller.plans[plan["hash"]])
    assert f"chaosctl inject --plan {plan['hash']}" in result.err


def test_a_plan_for_people(controller: FakeController, home: Path, run: Run) -> None:
    """Who will be hit, why everyone else will not, the budget."""
    out = run(home, "plan", *WORDS).out

    assert "3 hosts will be hit:" in out
    assert "db1   matches none of web*" in out
    assert "cap 50% of 4 = 2; spent 0" in out


def test_a_refusal_by_the_budget(controller: FakeController, home: Path, run: Run) -> None:
    """Status 3, the sum as the controller says it, and nothing on stdout."""
    problem = Problem("selection.hosts", "3 hosts", "cap 50% of 4 = 2; spent 0")
    controller.refusals["Run"] = Refused([problem], agent_pb2.REFUSED_BUDGET)

    result = run(home, "inject", *WORDS, "--detach")

    assert (result.code, result.out) == (Exit.LIMIT, "")
    assert "--hosts 3 hosts  cap 50% of 4 = 2; spent 0" in result.err
