"""Experiments from end to end: a whole controller, fake agents, real mTLS."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from chaos_protocol.v1 import agent_pb2, controller_pb2

from tests.controller.conftest import Caller, Lab, state_of, states

Running = Callable[..., AbstractAsyncContextManager[Caller]]


async def test_a_run_hits_its_targets_and_ends_by_its_duration(lab: Lab, running: Running) -> None:
    """Every chosen host is hit, nobody else, and at the end each has proved that it is clean."""
    async with running() as operator:
        experiment = await operator.run("web*", duration="1s")
        over = await operator.over(experiment.id)

    assert over.state == controller_pb2.EXPERIMENT_STATE_COMPLETED
    assert over.ended == agent_pb2.ENDED_DURATION
    assert [target.host for target in over.targets] == ["web1", "web2", "web3"]
    assert states(over) == {controller_pb2.TARGET_STATE_CLEAN}
    assert not lab.agents["db1"].starts


async def test_a_lost_answer_injects_once(lab: Lab, running: Running) -> None:
    """Inject whose answer is lost is sent again with the same id, and the host answers with what runs."""
    lab.agents["web1"].lost_answers["Inject"] = 2

    async with running() as operator:
        await operator.active("web1")

    assert lab.agents["web1"].count("Inject") == 3
    assert list(lab.agents["web1"].starts.values()) == [1]


async def test_a_stale_guard_is_shown_again_after_a_check(lab: Lab, running: Running) -> None:
    """A generation that grew between plan and start is no failure: the host is asked again."""
    async with running() as operator:
        lab.agents["web1"].stale_starts = 1
        await operator.active("web1")

    assert lab.agents["web1"].count("Inject") == 2
    assert list(lab.agents["web1"].starts.values()) == [1]


async def test_no_host_waits_for_a_slow_one(lab: Lab, running: Running) -> None:
    """While one agent hangs in Inject, the others are active."""
    lab.agents["web2"].hanging.add("Inject")

    async with running() as operator:
        experiment = await operator.run("web*")
        state = await operator.until(experiment.id, lambda state: state_of(state, "web3") == "ACTIVE")
        report = await operator.abort(experiment_id=experiment.id)

    assert state_of(state, "web2") == "TOLD"
    assert {receipt.host: receipt.says.partition(",")[0] for receipt in report.receipts} == {
        "web1": "clean",
        "web2": "never started",
        "web3": "clean",
    }


async def test_a_target_without_effect_fails_and_the_others_go_on(lab: Lab, running: Running) -> None:
    """No effect is a failure, reported at its host; the experiment goes on and ends as failed."""
    lab.agents["web1"].no_effect = True

    async with running() as operator:
        experiment = await operator.run("web*", duration="1s")
        over = await operator.over(experiment.id)

    assert over.state == controller_pb2.EXPERIMENT_STATE_FAILED
    assert [target.ended for target in over.targets] == [
        agent_pb2.ENDED_NO_EFFECT,
        agent_pb2.ENDED_DURATION,
        agent_pb2.ENDED_DURATION,
    ]


async def test_a_caller_that_is_gone_ends_its_run(lab: Lab, running: Running) -> None:
    """A run with keepalive ends when its creator neither watches nor renews."""
    async with running() as operator:
        experiment = await operator.run("web1", keepalive_ns=10**9)
        await lab.agents["web1"].until(lambda agent: agent.ended)
        async with lab.caller(name="bob") as bob:
            over = await bob.over(experiment.id)

    assert over.ended == agent_pb2.ENDED_CALLER_LOST
    assert over.state == controller_pb2.EXPERIMENT_STATE_ABORTED


async def test_an_open_watch_of_its_creator_keeps_a_run(lab: Lab, running: Running) -> None:
    """Watching is being there."""
    async with running() as operator:
        experiment = await operator.run("web1", keepalive_ns=10**9, duration="2s")
        over = await operator.over(experiment.id)

    assert over.ended == agent_pb2.ENDED_DURATION


async def test_a_waiting_run_starts_when_it_is_due(lab: Lab, running: Running) -> None:
    """Start-in is counted by the controller; hosts hear of it only then."""
    async with running() as operator:
        experiment = await operator.run("web1", start_in="1s", duration="1s")
        early = lab.agents["web1"].count("Inject")
        over = await operator.over(experiment.id)

    assert experiment.state == controller_pb2.EXPERIMENT_STATE_WAITING
    assert early == 0
    assert over.state == controller_pb2.EXPERIMENT_STATE_COMPLETED
    assert over.started_unix_ns - over.created_unix_ns >= 10**9


async def test_a_waiting_run_can_be_aborted(lab: Lab, running: Running) -> None:
    """What has not been sent never starts."""
    async with running() as operator:
        experiment = await operator.run("web1", start_in="10m")
        report = await operator.abort(experiment_id=experiment.id)

    assert [receipt.says for receipt in report.receipts] == ["never started"]
    assert not lab.agents["web1"].starts


async def test_the_same_key_gives_the_same_run(lab: Lab, running: Running) -> None:
    """A caller that repeats a call whose answer it lost starts nothing twice."""
    async with running() as operator:
        first = await operator.run("web1", key="abc")
        second = await operator.run("web1", key="abc")

    assert first.id == second.id
    assert list(lab.agents["web1"].starts.values()) == [1]


async def test_a_silent_stream_is_dialled_again_within_the_lease(lab: Lab, running: Running) -> None:
    """Two missed ticks, and the channel is thrown away; the host keeps what it holds."""
    agent = lab.agents["web1"]
    async with running() as operator:
        experiment = await operator.active("web1", lease="4s", duration="6s")
        agent.silent = True
        await agent.until(lambda agent: agent.count("Hold") == 2)
        agent.silent = False
        over = await operator.over(experiment.id)

    assert over.ended == agent_pb2.ENDED_DURATION


async def test_a_host_that_is_slow_to_start_keeps_its_stream(lab: Lab, running: Running) -> None:
    """A start that takes longer than two ticks of its lease is waited for, on the same connection."""
    agent = lab.agents["web1"]
    agent.start_takes_s = 1.5
    async with running() as operator:
        await operator.active("web1", lease="2s", duration="6s")

    assert (agent.count("Inject"), agent.count("Hold")) == (1, 1)


async def test_a_lost_host_is_presumed_clean_by_its_lease_and_proved_later(lab: Lab, running: Running) -> None:
    """Presumed is not proved: the budget stays spent until the host has spoken."""
    agent = lab.agents["web1"]
    async with running() as operator:
        experiment = await operator.active("web1")
        await agent.stop()
        over = await operator.over(experiment.id)
        spent = (await operator.call("GetStatus", controller_pb2.StatusRequest())).budget
        await agent.start()
        await agent.until(lambda agent: agent.ended and not agent.unacknowledged)
        free = (await operator.call("GetStatus", controller_pb2.StatusRequest())).budget

    assert states(over) == {controller_pb2.TARGET_STATE_PRESUMED_CLEAN}
    assert over.state == controller_pb2.EXPERIMENT_STATE_FAILED
    assert "spent 1: web1 not proved clean" in spent
    assert "spent 0" in free


async def test_what_the_host_holds_and_nobody_knows_is_ended(lab: Lab, running: Running) -> None:
    """An injection from a forgotten past is reported and undone."""
    agent = lab.agents["web1"]
    agent.hold("stranger")

    async with running():
        await agent.until(lambda agent: not agent.live)

    assert agent.ended["stranger"].ended == agent_pb2.ENDED_CONTROLLER_LOST
    assert not agent.unacknowledged


async def test_what_cannot_be_undone_is_said_loudly(lab: Lab, running: Running) -> None:
    """Still present is never clean, whatever the lease says; it becomes clean when the host has proved it."""
    agent = lab.agents["web1"]
    async with running() as operator:
        experiment = await operator.active("web1")
        agent.sticky = True
        report = await operator.abort(experiment_id=experiment.id)
        agent.sticky = False
        await agent.until(lambda agent: not agent.live)

    assert [receipt.says for receipt in report.receipts] == ["still present: qdisc 7000: on eth0"]
    assert [receipt.state for receipt in report.receipts] == [controller_pb2.TARGET_STATE_ENDING]
