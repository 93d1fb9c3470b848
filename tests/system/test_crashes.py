"""Whatever dies, whenever: the host ends clean, by itself. Everything here is really killed."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.fleet import (
    LAB,
    Fleet,
    Pinging,
    daemon,
    journal,
    kill,
    lab,
    latency,
    on,
    picture,
    pictures,
    ping,
    states,
    wait_until,
    worker,
    workers,
)

AT_ONCE_S = 1.5
"""Within so long in User-mode Linux, where starting a process alone takes a tenth of it."""
DELAYED_MS = 90


def causes(experiment: dict[str, object]) -> list[object]:
    """Why each target of an experiment ended."""
    return [target["ended"] for target in experiment["targets"]]  # type: ignore[attr-defined]


def test_a_killed_worker_is_undone_by_its_agent_at_once(fleet: Fleet) -> None:
    """A worker is killed: its agent undoes from the journal at once, says so, and no packet is lost."""
    experiment = fleet.run(latency("100ms"))
    with Pinging("web1") as pinging:
        assert ping("web1", 5).least >= DELAYED_MS

        killed = kill(worker("web1"))
        end = fleet.until_over(experiment)
        ping("web1", 5)

    assert (end["state"], causes(end), states(end)) == ("failed", ["worker-lost"], {"clean"})
    assert pinging.last(DELAYED_MS) - killed < AT_ONCE_S
    assert pinging.lost == set()


def test_the_worker_of_a_killed_agent_undoes_at_once(fleet: Fleet) -> None:
    """An agent is killed and not started again: its worker undoes at once, with nobody telling it."""
    before = picture("web1")
    fleet.run(latency("100ms"))
    orphan = worker("web1")
    with Pinging("web1") as pinging:
        assert ping("web1", 5).least >= DELAYED_MS

        killed = kill(daemon("web1"))
        cleaned = wait_until(lambda: not Path(f"/proc/{orphan}").exists())
        ping("web1", 5)

    assert before == picture("web1")
    assert pinging.last(DELAYED_MS) - killed < AT_ONCE_S
    assert cleaned - killed < AT_ONCE_S + 1
    assert pinging.lost == set()


def test_an_agent_started_again_tells_what_became_of_it(fleet: Fleet) -> None:
    """After the agent is killed and started again, the controller has the proof that the host is clean."""
    experiment = fleet.run(latency("100ms", duration="60s", lease="30s"))

    kill(daemon("web1"))
    lab("start", "web1")
    end = fleet.until_over(experiment)

    assert (end["state"], causes(end), states(end)) == ("failed", ["agent-restart"], {"clean"})
    assert journal("web1") == []


def test_worker_and_agent_killed_the_next_start_undoes(fleet: Fleet) -> None:
    """Worker and agent die at the same moment: the agent, started again, undoes before it serves."""
    before = picture("web1")
    experiment = fleet.run(latency("100ms", duration="60s", lease="30s"))

    kill(worker("web1"), daemon("web1"))
    assert before != picture("web1") and ping("web1", 5).least >= DELAYED_MS
    lab("start", "web1")
    end = fleet.until_over(experiment)

    assert before == picture("web1")
    assert (end["state"], causes(end), states(end)) == ("failed", ["agent-restart"], {"clean"})
    assert ping("web1", 5).most < 20


def test_the_kernel_itself_ends_the_delay_when_everything_is_dead(fleet: Fleet) -> None:
    """Worker and agent die and nothing is started: by the lease the delay is gone, by the kernel's own gate.

    No packet is lost over it, and then a person at the console cleans up byte for byte, with no daemon running.
    """
    before = picture("web1")
    fleet.run(latency("100ms", duration="60s", lease="4s"))
    with Pinging("web1") as pinging:
        assert ping("web1", 5).least >= DELAYED_MS

        killed = kill(worker("web1"), daemon("web1"))
        wait_until(lambda: time.time() > killed + 4)
        after = ping("web1", 20)

    assert 2 < pinging.last(DELAYED_MS) - killed <= 4
    assert pinging.lost == set() and after.most < 20
    assert before != picture("web1")
    said = on("web1", "chaos-agent", "--config", "/etc/chaos-agent/agent.yaml", "revert", "--all")
    assert ": reverted" in said
    assert before == picture("web1")
    assert journal("web1") == []


def qdiscs(host: str) -> bool:
    return "clsact" in on(host, "tc", "qdisc")


# moment -> how it is known that it has come
MOMENTS: dict[str, Callable[[str], bool]] = {
    "its worker is there": lambda host: bool(workers(host)),
    "its journal is written": lambda host: bool(journal(host)),
    "the host is being touched": lambda host: bool(interfaces(host)),
}


def interfaces(host: str) -> list[str]:
    """Devices of ours on a host, read without starting a process."""
    seen = Path(f"/proc/{(LAB / host / 'holder').read_text().strip()}/root/sys/class/net")
    return [each.name for each in seen.iterdir() if each.name not in ("lo", "eth0")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_host_that_dies_while_it_injects_ends_clean(fleet: Fleet, moment: str) -> None:
    """Agent and worker are killed in the middle of a start: what there is of it is undone by the next start."""
    before = picture("web1")
    started = fleet.client.run(latency("100ms", lease="60s"), keepalive="0s")["experiment"]["id"]

    wait_until(lambda: MOMENTS[moment]("web1"))
    kill(daemon("web1"), *workers("web1"))
    lab("start", "web1")
    end = fleet.until_over(started)

    assert before == picture("web1")
    assert states(end) <= {"clean", "never-started"}
    assert (journal("web1"), workers("web1")) == ([], [])


def test_hosts_of_a_killed_controller_end_within_the_lease(fleet: Fleet) -> None:
    """The controller is killed and stays dead: every host is clean within the lease."""
    before = pictures()
    fleet.run(latency("100ms", "web*", duration="60s", lease="6s"))
    with Pinging("web1") as pinging:
        assert ping("web1", 5).least >= DELAYED_MS

        killed = kill(daemon("controller"))
        cleaned = wait_until(lambda: not any(map(workers, ("web1", "web2", "web3"))))
        after = {host: ping(host, 5).most for host in ("web1", "web2", "web3")}

    assert 0 < pinging.last(DELAYED_MS) - killed <= 6
    assert cleaned - killed <= 6 + 2
    assert before == pictures()
    assert max(after.values()) < 20
    assert pinging.lost == set()


def test_a_controller_started_again_takes_up_what_runs(fleet: Fleet) -> None:
    """A controller killed and started again within the lease: the experiment goes on, and completes clean."""
    asked = time.time()
    experiment = fleet.run(latency("100ms", "web*", duration="20s", lease="20s"))
    active = time.time()
    with Pinging("web2") as pinging:
        holding = {host: worker(host) for host in ("web1", "web2", "web3")}

        kill(daemon("controller"))
        lab("start", "controller")
        fleet.wait_online()
        assert {host: worker(host) for host in holding} == holding
        end = fleet.until_over(experiment)

    assert (end["state"], set(causes(end)), states(end)) == ("completed", {"duration"}, {"clean"})
    last = pinging.last(DELAYED_MS)
    assert asked + 20 - 1 < last < active + 20
    assert [answer for answer in pinging.answers if answer.ms < DELAYED_MS and answer.asked < last] == []


def test_an_agent_that_is_stopped_is_inert_by_the_lease(fleet: Fleet) -> None:
    """A frozen agent renews nothing: its host is inert by the lease; thawed, it tells the truth."""
    experiment = fleet.run(latency("100ms", duration="60s", lease="4s"))
    with Pinging("web1") as pinging:
        agent, its_worker = daemon("web1"), worker("web1")
        assert ping("web1", 5).least >= DELAYED_MS

        frozen = time.time()
        os.kill(agent, signal.SIGSTOP)
        presumed = fleet.until_over(experiment)
        ping("web1", 5)
    os.kill(agent, signal.SIGCONT)
    wait_until(lambda: states(fleet.client.show(experiment)) == {"clean"})

    assert 0 < pinging.last(DELAYED_MS) - frozen <= 4
    assert pinging.lost == set()
    assert states(presumed) == {"presumed-clean"}
    proved = fleet.client.show(experiment)
    assert causes(proved) == ["controller-lost"]
    assert not Path(f"/proc/{its_worker}").exists()
