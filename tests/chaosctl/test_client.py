"""The Python client, as a library."""

from pathlib import Path
from typing import Any

import pytest
from chaos_protocol import document
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2
from chaosctl.client import Client, short
from chaosctl.exits import Exit
from chaosctl.stop import Stop, Unreachable

from tests.fakes.fake_controller import FakeController

SPEC = {"faults": [{"latency": {"delay": "100ms"}}], "selection": {"hosts": ["web*"]}, "duration": "2m"}


@pytest.fixture
def client(home: Path) -> Any:
    """Ada's client."""
    with Client.connect(home) as connected:
        yield connected


def test_a_plan_is_the_document_of_the_message(controller: FakeController, client: Client) -> None:
    """What comes out is `document.write` of the reply, nothing added."""
    plan = client.plan(SPEC)

    assert plan == document.write(controller.plans[plan["hash"]])


def test_run_and_watch(controller: FakeController, client: Client) -> None:
    """An experiment from start to end in five lines."""
    experiment = client.run(SPEC)["experiment"]
    states = []
    for state in client.watch(experiment["id"]):
        states.append(state["state"])
        if len(states) == 1:
            controller.finish()

    assert states == ["running", "completed"]
    assert controller.asked("Run")[0].keepalive_ns == 0


def test_running_a_plan(controller: FakeController, client: Client) -> None:
    """By its hash, and nothing else is sent."""
    plan = client.plan(SPEC)

    client.run(plan_hash=plan["hash"])

    assert controller.asked("Run")[0].WhichOneof("what") == "plan_hash"


def test_one_key_starts_once(controller: FakeController, client: Client) -> None:
    """However often it is sent."""
    first, second = (client.run(SPEC, key="k")["experiment"]["id"] for _ in range(2))

    assert first == second


def test_abort_until_settled(controller: FakeController, client: Client) -> None:
    """The account comes again with each change, to the last receipt."""
    experiment = client.run(SPEC)["experiment"]

    *_, last = client.abort(experiment["id"], reason="enough")

    assert last["settled"]
    assert {receipt["state"] for receipt in last["receipts"]} == {"clean"}
    assert controller.asked("Abort")[0].reason == "enough"


def test_bad_values_never_leave(controller: FakeController, client: Client) -> None:
    """Every problem at once, before anything is sent."""
    with pytest.raises(Stop) as refused:
        client.run({"faults": [{"latency": {"delay": "100", "to_port": 70000}}], "selection": {}})

    assert [problem.culprit for problem in refused.value.problems] == [
        "faults[0].latency.delay",
        "faults[0].latency.to_port[0]",
    ]
    assert controller.count("Run") == 0


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (agent_pb2.REFUSED_INPUT, Exit.INPUT),
        (agent_pb2.REFUSED_BUDGET, Exit.LIMIT),
        (agent_pb2.REFUSED_FENCE, Exit.LIMIT),
        (agent_pb2.REFUSED_HOST, Exit.INPUT),
    ],
)
def test_refusals_carry_every_problem(
    controller: FakeController, client: Client, reason: agent_pb2.Refused.ValueType, code: Exit
) -> None:
    """From the trailing metadata, with the status that its reason has."""
    problems = [Problem("web1", "", "is protected"), Problem("web2", "x", "is full")]
    controller.refusals["GetStatus"] = Refused(problems, reason)

    with pytest.raises(Stop) as refused:
        client.status()

    assert (refused.value.code, refused.value.problems) == (code, tuple(problems))


def test_nobody_answers(controller: FakeController, client: Client) -> None:
    """The address that was tried, and what to do."""
    controller.stop()

    with pytest.raises(Unreachable) as lost:
        client.status()
    controller.start_again()

    (problem,) = lost.value.problems
    assert (problem.culprit, problem.value) == ("controller", controller.address)
    assert "is chaos-controller running there" in problem.remedy


def test_every_call_has_a_deadline(controller: FakeController, client: Client) -> None:
    """A controller that hangs is not waited for."""
    controller.hanging.add("Renew")

    with pytest.raises(Unreachable, match="did not answer in time"):
        client.renew("one", deadline_s=0.2)


def test_a_viewer_may_not_run(controller: FakeController) -> None:
    """The role decides: status 3."""
    with Client.connect(controller.login("vic", "viewer")) as viewer, pytest.raises(Stop) as refused:
        viewer.run(SPEC)

    assert refused.value.code == Exit.LIMIT
    assert "may not call Run" in str(refused.value)


@pytest.mark.parametrize(
    ("detail", "says"),
    [
        pytest.param(
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:7700: Connection refused",
            "does not answer (Connection refused)",
            id="refused",
        ),
        pytest.param("Socket closed", "does not answer (Socket closed)", id="closed"),
        pytest.param("", "does not answer (connection lost)", id="nothing-said"),
    ],
)
def test_why_in_few_words(detail: str, says: str) -> None:
    """gRPC repeats the address and its own layers; only the end says why."""
    assert short(detail) == says
