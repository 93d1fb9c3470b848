"""Ending now: the fence, receipts, hosts that can't be reached, a store that can't be written."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from chaos_controller.states import Reason
from chaos_protocol.v1 import agent_pb2, controller_pb2

from tests.controller.conftest import Caller, Lab, spec

Running = Callable[..., AbstractAsyncContextManager[Caller]]


async def test_abort_ends_a_run_with_a_receipt_for_every_target(lab: Lab, running: Running) -> None:
    """The account names every target and says when each was inert; no fence goes up."""
    async with running() as operator:
        experiment = await operator.active("web*")
        report = await operator.abort(experiment_id=experiment.id)
        over = await operator.over(experiment.id)

    assert over.state == controller_pb2.EXPERIMENT_STATE_ABORTED
    assert report.settled
    assert [receipt.host for receipt in report.receipts] == ["web1", "web2", "web3"]
    assert all(receipt.says.startswith("clean, inert after") for receipt in report.receipts)
    assert not report.fence_up


async def test_abort_all_accounts_for_every_host(lab: Lab, running: Running) -> None:
    """Hosts that held nothing are told too, and are in the account."""
    async with running() as operator:
        await operator.active("web1")
        report = await operator.abort(all=True, reason="smoke")

    assert report.settled
    assert report.fence_up
    assert [receipt.host for receipt in report.receipts] == ["db1", "web1", "web2", "web3"]
    assert all(agent.aborts for agent in lab.agents.values())


async def test_after_abort_all_nothing_starts_until_the_fence_is_lifted(lab: Lab, running: Running) -> None:
    """Refused with the fence as the reason; lifted, the same run goes through."""
    async with running() as operator:
        await operator.abort(all=True, reason="smoke")
        refused = await operator.refused("Run", controller_pb2.RunRequest(spec=spec("web1")))
        fence = await operator.call("LiftFence", controller_pb2.LiftFenceRequest())
        await operator.active("web1")

    assert refused.reason == Reason.FENCE
    assert not fence.up
    assert not lab.agents["web2"].aborts


async def test_a_viewer_may_abort(lab: Lab, running: Running) -> None:
    """Reading and aborting is what a viewer may do."""
    async with running() as operator, lab.caller("viewer", "eve") as viewer:
        experiment = await operator.active("web1")
        report = await viewer.abort(all=True)
        refused = await viewer.refused("Run", controller_pb2.RunRequest(spec=spec("web1")))

    assert report.settled
    assert refused.reason == Reason.CALLER
    assert experiment.id


async def test_an_unreachable_host_is_accounted_for_with_the_end_of_its_lease(lab: Lab, running: Running) -> None:
    """The account goes on until the lease of the lost host is over, and says when that is."""
    async with running() as operator:
        await operator.active("web*")
        await lab.agents["web2"].stop()
        asked = controller_pb2.AbortRequest(all=True)
        reports = [report async for report in operator.stream("Abort", asked)]

    says = {receipt.host: receipt.says for receipt in reports[0].receipts}
    last = {receipt.host: receipt for receipt in reports[-1].receipts}
    assert says["web2"].startswith("unreachable, ends by itself at the latest 20") or says["web2"] == "reverting"
    assert last["web2"].state == controller_pb2.TARGET_STATE_PRESUMED_CLEAN
    assert last["web2"].says.startswith("presumed clean since")
    assert last["web1"].state == last["web3"].state == controller_pb2.TARGET_STATE_CLEAN
    assert reports[-1].settled


async def test_abort_does_not_wait_for_a_frozen_agent(lab: Lab, running: Running) -> None:
    """The clean hosts' receipts are there at once."""
    lab.agents["web2"].hanging |= {"Abort", "Revert"}

    async with running() as operator:
        await operator.active("web*")
        began = time.monotonic()
        async for report in operator.stream("Abort", controller_pb2.AbortRequest(all=True)):
            clean = {each.host for each in report.receipts if each.state == controller_pb2.TARGET_STATE_CLEAN}
            if clean >= {"web1", "web3", "db1"}:
                break
        lab.agents["web2"].hanging.clear()

    assert time.monotonic() - began < 1


async def test_abort_does_not_wait_for_the_store(lab: Lab, running: Running) -> None:
    """A locked database becomes a warning; every host is clean all the same."""
    async with running() as operator:
        experiment = await operator.active("web*")
        lock = sqlite3.connect(lab.config.state / "controller.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        report = await operator.abort(all=True)
        took_s = time.monotonic() - began
        lock.execute("ROLLBACK")
        lock.close()

    assert took_s < 2
    assert {receipt.state for receipt in report.receipts} == {controller_pb2.TARGET_STATE_CLEAN}
    assert list(report.warnings) == ["the abort holds, but is not stored yet"]
    assert experiment.id


async def test_the_fence_outlives_a_restart(lab: Lab, running: Running) -> None:
    """What was aborted stays aborted, whoever restarts."""
    async with running() as operator:
        await operator.abort(all=True, reason="smoke")
        async with lab.controller(), lab.caller() as again:
            fence = await again.call("ShowFence", controller_pb2.FenceRequest())

    assert [order.reason for order in fence.orders] == ["smoke"]


async def test_a_direct_abort_ends_everything_here_too(lab: Lab, running: Running) -> None:
    """A live controller that learns of an abort from one host aborts all that runs, and waits."""
    order = agent_pb2.AbortOrder(abort_id="direct", by="operator bob", reason="fire")
    async with running() as operator:
        experiment = await operator.active("web*")
        await lab.agents["web1"].abort_directly(order)
        over = await operator.over(experiment.id)
        await lab.agents["db1"].until(lambda agent: "direct" in agent.aborts)
        fence = await operator.call("ShowFence", controller_pb2.FenceRequest())

    assert over.state == controller_pb2.EXPERIMENT_STATE_ABORTED
    assert [order.abort_id for order in fence.orders] == ["direct"]


async def test_a_dead_controller_learns_of_an_abort_from_its_first_welcome(lab: Lab, running: Running) -> None:
    """It starts with the fence up."""
    order = agent_pb2.AbortOrder(abort_id="direct", by="operator bob", reason="fire")
    lab.agents["web1"].aborts["direct"] = order

    async with running() as operator:
        await lab.agents["db1"].until(lambda agent: "direct" in agent.aborts)
        fence = await operator.call("ShowFence", controller_pb2.FenceRequest())

    assert fence.up


async def test_a_host_that_took_itself_out_raises_no_fence(lab: Lab, running: Running) -> None:
    """An abort for one host only is that host's own affair, and is shown with it."""
    order = agent_pb2.AbortOrder(abort_id="mine", by="root", reason="kernel update", host_only=True)
    lab.agents["web1"].aborts["mine"] = order

    async with running() as operator:
        hosts = await operator.call("ListHosts", controller_pb2.ListHostsRequest())
        await operator.active("web2")
        fence = await operator.call("ShowFence", controller_pb2.FenceRequest())

    assert not fence.up
    assert "root: kernel update" in next(host.note for host in hosts.hosts if host.name == "web1")


async def test_the_same_abort_twice_is_one_abort(lab: Lab, running: Running) -> None:
    """An id is made by whoever types abort; saying it again gives the same account."""
    async with running() as operator:
        await operator.active("web1")
        first = await operator.abort(all=True, abort_id="one")
        second = await operator.abort(all=True, abort_id="one")

    assert first == second


async def test_a_start_that_arrives_after_the_abort_starts_nothing(lab: Lab, running: Running) -> None:
    """Inject hangs on its way; aborted and then let go, it finds a tombstone or an abort."""
    agent = lab.agents["web1"]
    agent.hanging.add("Inject")

    async with running() as operator:
        experiment = await operator.run("web1")
        await agent.until(lambda agent: agent.count("Inject"))
        report = await operator.abort(experiment_id=experiment.id)
        late = agent.calls[[name for name, _ in agent.calls].index("Inject")][1]
        refused = agent.objection_to(late)

    assert [receipt.says for receipt in report.receipts] == ["never started"]
    assert refused
    assert not agent.starts
