"""A controller that dies or is replaced: take-up within the lease, and never two in charge."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from chaos_controller.states import Reason
from chaos_protocol.v1 import agent_pb2, controller_pb2

from tests.controller.conftest import Caller, Lab, agents_of, spec, states

Running = Callable[..., AbstractAsyncContextManager[Caller]]


async def test_a_restarted_controller_takes_up_what_runs(lab: Lab) -> None:
    """A stop ends nothing; the next start adopts by id and sees it through."""
    async with agents_of(lab):
        async with lab.controller(), lab.caller() as operator:
            await lab.online()
            experiment = await operator.active("web*", duration="3s")
        async with lab.controller(), lab.caller() as operator:
            over = await operator.over(experiment.id)

    assert over.state == controller_pb2.EXPERIMENT_STATE_COMPLETED
    assert sorted(lab.agents["web1"].adopted[-1]) == [target.injection_id for target in over.targets[:1]]
    assert all(list(lab.agents[name].starts.values()) == [1] for name in ("web1", "web2", "web3"))


async def test_each_start_is_a_new_term(lab: Lab, running: Running) -> None:
    """Terms only grow, and hosts hear which are retired."""
    async with running() as operator:
        first = await operator.call("GetStatus", controller_pb2.StatusRequest())
        async with lab.controller(), lab.caller() as again:
            second = await again.call("GetStatus", controller_pb2.StatusRequest())

    assert (first.term, second.term) == (1, 2)


async def test_a_superseded_controller_ends_itself(lab: Lab, running: Running) -> None:
    """Its next write finds its term retired."""
    async with running() as operator:
        old = lab.daemon
        async with lab.controller():
            refused = await operator.refused("Run", controller_pb2.RunRequest(spec=spec("web1")))

    assert refused.reason == Reason.STALE
    assert old.superseded
    assert not lab.agents["web1"].starts


async def test_an_end_that_nobody_heard_is_told_again(lab: Lab) -> None:
    """The result waits on the host until a controller has stored it."""
    agent = lab.agents["web1"]
    async with agents_of(lab):
        async with lab.controller(), lab.caller() as operator:
            await lab.online()
            experiment = await operator.active("web1", duration="1s")
        await agent.until(lambda agent: agent.ended)
        async with lab.controller(), lab.caller() as operator:
            over = await operator.over(experiment.id)
            await agent.until(lambda agent: not agent.unacknowledged)

    assert over.state == controller_pb2.EXPERIMENT_STATE_COMPLETED
    assert over.ended == agent_pb2.ENDED_DURATION
    assert states(over) == {controller_pb2.TARGET_STATE_CLEAN}


async def test_a_waiting_run_survives_a_restart(lab: Lab) -> None:
    """It has not been sent, so it simply goes on waiting."""
    async with agents_of(lab):
        async with lab.controller(), lab.caller() as operator:
            await lab.online()
            experiment = await operator.run("web1", start_in="2s", duration="1s")
        async with lab.controller(), lab.caller() as operator:
            over = await operator.over(experiment.id)

    assert over.state == controller_pb2.EXPERIMENT_STATE_COMPLETED
