"""The agent's core with real worker processes; the fault is a file that is there or not."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest
from chaos_agent.admission import Denied
from chaos_agent.law import Law
from chaos_agent.ledger import Ledger
from chaos_agent.standing import Order
from chaos_protocol.problems import Refused

from tests.agent.conftest import SECOND, FullDisk, Running


def run(story: object) -> None:
    asyncio.run(story)  # type: ignore[arg-type]


def test_injects_holds_and_reverts_at_the_deadline(agent_running: Running) -> None:
    """The fault is there while it holds; at the deadline it is undone and proved so."""

    async def story() -> None:
        async with agent_running() as agent:
            record = await agent.injector.start(agent.order(duration_ns=SECOND))
            assert (record.state, agent.mark.exists()) == ("active", True)

            end = await agent.until(lambda record: record.over)

            assert (end.state, end.ended, end.outcome) == ("reverted", "duration", "reverted")
            assert not agent.mark.exists()
            assert end.active_tick < end.inert_tick <= end.clean_tick

    run(story())


def test_ends_by_the_lease_when_no_beat_comes(agent_running: Running) -> None:
    """Without a controller the injection ends by its lease, long before its deadline."""

    async def story() -> None:
        async with agent_running() as agent:
            await agent.injector.start(agent.order(lease_ns=SECOND))

            end = await agent.until(lambda record: record.over)

            assert (end.ended, agent.mark.exists()) == ("controller-lost", False)
            assert end.inert_tick >= end.lease_tick

    run(story())


def test_a_beat_extends_from_the_tick_that_was_read(agent_running: Running) -> None:
    """The lease ends at the tick that the controller has read plus the lease, whenever the beat arrives."""

    async def story() -> None:
        async with agent_running() as agent:
            record = await agent.injector.start(agent.order())
            seen = record.accepted_tick + 5

            agent.injector.renew(seen)
            agent.injector.renew(seen - 3)  # an older beat, late: only grows

            assert [each.lease_tick for each in agent.injector.live] == [seen + record.lease_ns]

    run(story())


def test_a_beat_after_the_lease_changes_nothing(agent_running: Running) -> None:
    """A lapsed lease is final, and a tick from the future is not believed."""

    async def story() -> None:
        async with agent_running() as agent:
            record = await agent.injector.start(agent.order())

            agent.injector.renew(record.accepted_tick + 10**15)

            assert [each.lease_tick for each in agent.injector.live] == [record.lease_tick]

    run(story())


def test_abort_is_inert_at_once_and_keeps_the_next_out(agent_running: Running) -> None:
    """After an abort everything is inert and nothing starts until it is lifted."""

    async def story() -> None:
        async with agent_running() as agent:
            await agent.injector.start(agent.order())

            aborted = await agent.injector.abort([Order("a1", "drill", "ann")])

            assert all(record.inert_tick for record in aborted) and len(aborted) == 1
            with pytest.raises(Denied, match="a1 by ann: drill"):
                await agent.injector.start(agent.order("two"))
            await agent.injector.lift(["a1"])
            assert (
                await agent.injector.start(agent.order("two", parameters={"path": str(agent.mark) + "2"}))
            ).state == ("active")

    run(story())


def test_aborts_at_the_same_time_are_all_durable(agent_running: Running) -> None:
    """Two orders heard at once both survive the agent's end."""

    async def story() -> None:
        async with agent_running() as agent:
            await asyncio.gather(*(agent.injector.abort([Order(name)]) for name in "abcdef"))

        assert [order.id for order in Ledger(agent.folder / "state").standing().up] == list("abcdef")

    run(story())


def test_an_abort_while_starting_wins(agent_running: Running) -> None:
    """A start that is under way when the abort comes ends, whichever step it had reached."""

    async def story() -> None:
        async with agent_running() as agent:
            starting = asyncio.gather(agent.injector.start(agent.order()), return_exceptions=True)
            for _ in range(2):  # its own task, then: it is waiting for its check and its process
                await asyncio.sleep(0)

            await agent.injector.abort([Order("a1")])
            await starting

            await agent.until(lambda record: record.over)
            assert not agent.mark.exists()

    run(story())


def test_the_same_order_twice_injects_once(agent_running: Running) -> None:
    """A retry after a lost answer gets the present record; another order under the id is refused."""

    async def story() -> None:
        async with agent_running() as agent:
            order = agent.order()
            first, second = await asyncio.gather(agent.injector.start(order), agent.injector.start(order))

            assert (first.id, second.id, len(agent.workers)) == ("one", "one", 1)
            with pytest.raises(Denied, match="use a new id"):
                await agent.injector.start(replace(order, digest="other"))

    run(story())


def test_a_caller_who_hangs_up_leaves_no_half_start(agent_running: Running) -> None:
    """A start whose caller gives up while it is being written down goes on, and is there when he asks again."""

    async def story() -> None:
        async with agent_running() as agent:
            order = agent.order()
            asking = asyncio.get_running_loop().create_task(agent.injector.start(order))
            while not agent.injector.live:  # noqa: ASYNC110 - nobody is told of this moment
                await asyncio.sleep(0)

            asking.cancel()

            await agent.until(lambda record: record.state == "active")
            assert (await agent.injector.start(order)).state == "active"
            assert len(agent.workers) == 1

    run(story())


def test_a_host_that_takes_nothing_says_so_when_it_is_planned(agent_running: Running) -> None:
    """After an abort of this host alone a check is refused, naming who ordered it and how to end it."""

    async def story() -> None:
        async with agent_running() as agent:
            order = agent.order()
            await agent.injector.abort([Order("a1", "hands off", "root", host_only=True)])

            verdict, kind = await agent.injector.check(order.kind, order.parameters, order.duration_ns)

            assert kind == "fence"
            assert [str(each) for each in verdict.problems] == [
                "abort: root: hands off: nothing starts on this host until `chaos-agent resume` is typed there"
            ]
            await agent.injector.lift(["a1"])
            assert not (await agent.injector.check(order.kind, order.parameters, order.duration_ns))[0].problems

    run(story())


def test_an_inject_after_its_revert_starts_nothing(agent_running: Running) -> None:
    """Revert of an unknown id leaves a tombstone, so that an order still on its way comes too late."""

    async def story() -> None:
        async with agent_running() as agent:
            late = agent.order()
            outcome, _ = await agent.injector.revert("one")

            assert outcome == "no-trace"
            with pytest.raises(Denied, match="never starts again"):
                await agent.injector.start(late)
            assert not agent.mark.exists()

    run(story())


def test_an_overlapping_injection_is_refused_by_name(agent_running: Running) -> None:
    """The refusal names the injection that holds the thing."""

    async def story() -> None:
        async with agent_running() as agent:
            await agent.injector.start(agent.order())

            with pytest.raises(Denied, match=r"one .*mark"):
                await agent.injector.start(agent.order("two"))

    run(story())


def test_the_host_owners_law_is_kept(agent_running: Running) -> None:
    """Whoever asks, a longer duration than agent.yaml allows is refused."""

    async def story() -> None:
        async with agent_running(Law(longest_duration_ns=SECOND)) as agent:
            with pytest.raises(Denied, match=r"agent\.yaml allows at most 1s"):
                await agent.injector.start(agent.order())

    run(story())


@pytest.mark.parametrize(
    ("fail", "ended"),
    [
        # where it fails, what the record says
        pytest.param("inject", "failed", id="half injected"),
        pytest.param("effect", "no-effect", id="no effect"),
        pytest.param("drift", "drift", id="changed by somebody else"),
    ],
)
def test_what_did_not_work_is_failed_and_undone(agent_running: Running, fail: str, ended: str) -> None:
    """A fault that has no effect is never called a success, and leaves nothing."""

    async def story() -> None:
        async with agent_running() as agent:
            await agent.injector.start(agent.order(parameters={"fail": fail}))

            end = await agent.until(lambda record: record.over)

            assert (end.state, end.ended, end.outcome) == ("failed", ended, "reverted")
            assert not agent.mark.exists()

    run(story())


@pytest.mark.parametrize("when", ["active", "injecting"])
def test_a_killed_worker_is_undone_by_the_agent(agent_running: Running, when: str) -> None:
    """SIGKILL of the worker: the agent notices and reverts from the journal."""

    async def story() -> None:
        async with agent_running() as agent:
            hang = {"hang": "inject"} if when == "injecting" else {}
            starting = asyncio.gather(agent.injector.start(agent.order(parameters=hang)))
            await agent.until(lambda record: record.state == when) if when == "active" else await _made(agent.mark)

            os.kill(agent.workers[0], signal.SIGKILL)
            end = await agent.until(lambda record: record.over)
            await starting

            assert (end.ended, end.outcome, agent.mark.exists()) == ("worker-lost", "reverted", False)

    run(story())


async def _made(path: object) -> None:
    async with asyncio.timeout(20):
        while not path.exists():  # type: ignore[attr-defined]  # noqa: ASYNC110 - nothing tells of a file
            await asyncio.sleep(0.01)


def test_what_is_left_is_said_and_tried_again(agent_running: Running) -> None:
    """An undo that fails is reported as still present, and is repeated until it is proved."""

    async def story() -> None:
        async with agent_running() as agent:
            await agent.injector.start(agent.order(parameters={"fail": "revert"}))
            outcome, record = await agent.injector.revert("one")
            assert record and (outcome, record.state, record.left) == ("still-present", "failed", str(agent.mark))

            (agent.folder / "mark.allow").touch()
            end = await agent.until(lambda record: record.outcome == "reverted")

            assert not agent.mark.exists() and end.over

    run(story())


def test_a_new_controller_ends_what_it_does_not_know(agent_running: Running) -> None:
    """Hello of a newer term adopts by name; the rest is ended."""

    async def story() -> None:
        async with agent_running() as agent:
            await agent.injector.start(agent.order())
            await agent.injector.start(agent.order("two", parameters={"path": str(agent.mark) + "2"}))

            await agent.injector.take_up(1, [0], ["two"])
            end = await agent.until(lambda record: record.over)

            assert (end.id, end.ended) == ("one", "controller-lost")
            assert [record.id for record in agent.injector.live] == ["two"]

    run(story())


def test_stopping_the_agent_leaves_a_clean_host(agent_running: Running) -> None:
    """SIGTERM of the agent reverts what is live; the next start knows how it ended."""

    async def story() -> None:
        async with agent_running() as agent:
            await agent.injector.start(agent.order())
        assert not agent.mark.exists()
        async with agent_running() as agent:
            assert [(each.id, each.ended) for each in agent.injector.ended] == [("one", "agent-restart")]

    run(story())


def test_leftovers_are_reverted_before_anything_is_served(agent_running: Running) -> None:
    """A journal entry without a worker (both were killed) is undone at the next start."""

    async def story() -> None:
        async with agent_running() as agent:
            record = await agent.injector.start(agent.order())
            entry = replace(record, state="injecting")
        agent.mark.write_text("left behind")
        ledger = Ledger(agent.folder / "state")
        (agent.folder / "state/history/one.json").unlink()
        ledger.enter(entry)

        async with agent_running() as agent:
            assert not agent.mark.exists()
            assert [each.outcome for each in agent.injector.ended] == ["reverted"]

    run(story())


def test_leftovers_are_reverted_though_the_disk_is_full(agent_running: Running, full_disk: FullDisk) -> None:
    """What can't be written down can be undone: the host is clean, then the agent says why it can't serve."""

    async def story() -> None:
        async with agent_running() as agent:
            record = await agent.injector.start(agent.order())
        agent.mark.write_text("left behind")
        (agent.folder / "state/history/one.json").unlink()
        Ledger(agent.folder / "state").enter(replace(record, state="injecting"))

        with full_disk(), pytest.raises(Refused, match="can't be written"):
            async with agent_running():
                pass
        assert not agent.mark.exists()

        async with agent_running() as agent:
            assert [each.outcome for each in agent.injector.ended] == ["no-trace"]

    run(story())


def test_each_start_has_its_own_generation(agent_running: Running) -> None:
    """A guard from before the restart starts nothing after it."""

    async def story() -> None:
        async with agent_running() as agent:
            old = agent.order()
        async with agent_running() as agent:
            with pytest.raises(Denied, match="generation"):
                await agent.injector.start(old)

    run(story())
