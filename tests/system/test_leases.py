"""Paths break, callers leave, answers are late: hosts end by themselves, and the account of it is honest."""

import os
import pty
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import grpc
import pytest
from chaos_protocol import refusals
from chaos_protocol.v1 import agent_pb2, agent_pb2_grpc
from chaosctl.stop import Stop

from tests.system.fleet import (
    HOSTS,
    LAB,
    OPERATOR,
    Fleet,
    Pinging,
    agent_of,
    chaos_agent,
    chaosctl,
    daemon,
    journal,
    kill,
    lab,
    latency,
    picture,
    pictures,
    ping,
    states,
    wait_until,
    worker,
    workers,
)

DELAYED_MS = 90


@pytest.fixture(autouse=True)
def nothing_left(fleet: Fleet) -> Iterator[None]:
    """After every test here the journal of every host is empty, and no worker is alive."""
    yield
    fleet.make_whole()
    fleet.make_clean()
    wait_until(lambda: not any(journal(host) or workers(host) for host in HOSTS), 10)


# --- the path to a host is cut ----------------------------------------------------------------------------------------


def test_a_host_that_is_cut_off_ends_within_the_lease(fleet: Fleet) -> None:
    """The path between a host and the controller breaks: the host is clean within the lease, the others go on."""
    before = picture("web1")
    experiment = fleet.run(latency("100ms", "web[12]", duration="16s", lease="6s"))
    with Pinging("web1") as pinging:
        lab("cut", "web1")
        cut = time.time()
        cleaned = wait_until(lambda: not workers("web1"))
        after, other = ping("web1", 5), ping("web2", 5)
    assert picture("web1") == before
    lab("mend", "web1")
    end = fleet.until(experiment, lambda now: now["state"] in ("completed", "failed", "aborted"))

    assert pinging.last(DELAYED_MS) <= cut + 6 and pinging.lost == set()
    assert cleaned < cut + 6 + 2
    assert after.most < 20 and other.least >= DELAYED_MS
    ended = {target["host"]: (target["state"], target["ended"]) for target in end["targets"]}
    assert ended == {"web1": ("clean", "controller-lost"), "web2": ("clean", "duration")}


def test_abort_names_who_is_cut_off_and_when_it_ends_by_itself(fleet: Fleet) -> None:
    """`abort --all` with a host cut off: exit 6, that host by name and moment; mended, it becomes proved clean."""
    experiment = fleet.run(latency("100ms", "web*", duration="60s", lease="12s"))
    with Pinging("web1") as pinging:
        lab("cut", "web1")

        done = chaosctl("abort", "--all", "--reason", "test")

        ping("web1", 5)
    said = re.search(r"web1 .*unreachable, ends by itself at the latest ([\d-]+T[\d:.]+Z)", done.stderr)
    assert said, done.stderr
    assert pinging.last(DELAYED_MS) <= datetime.fromisoformat(said[1]).timestamp()
    assert done.returncode == 6
    assert "not proved clean: web1" in done.stderr.splitlines()[-1]
    assert _states(fleet, experiment) == {"web1": "presumed-clean", "web2": "clean", "web3": "clean"}
    lab("mend", "web1")
    wait_until(lambda: set(_states(fleet, experiment).values()) == {"clean"})


def _states(fleet: Fleet, experiment: str) -> dict[str, str]:
    return {target["host"]: target["state"] for target in fleet.client.show(experiment)["targets"]}


def test_nothing_starts_while_the_fence_is_up(fleet: Fleet) -> None:
    """After `abort --all` a start is refused with exit 3, naming the abort; when it is lifted, it starts."""
    aborted = chaosctl("abort", "--all", "--reason", "the site is down")
    refused = chaosctl("inject", "latency", "--hosts", "web1", "--delay", "100ms", "--detach")
    lifted = chaosctl("fence", "lift")
    started = chaosctl("inject", "latency", "--hosts", "web1", "--delay", "100ms", "--detach")

    assert [each.returncode for each in (aborted, refused, lifted, started)] == [0, 3, 0, 0]
    assert "the site is down" in refused.stderr and "fence lift" in refused.stderr


# --- the caller is gone -----------------------------------------------------------------------------------------------


@contextmanager
def foreground(fleet: Fleet, terminal: int | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A `chaosctl inject` that a person watches, once every host is under fault."""
    words = ["chaosctl", "inject", "latency", "--hosts", "web*", "--delay", "100ms", "--duration", "2m"]
    if terminal is not None:
        words = ["setsid", "--ctty", *words]
    out = subprocess.PIPE if terminal is None else terminal
    process = subprocess.Popen(words, stdin=terminal, stdout=out, stderr=out, text=True)
    with process:
        try:
            wait_until(lambda: [states(each) for each in fleet.client.experiments()["experiments"]] == [{"active"}])
            yield process
        finally:
            process.kill()


def _the_experiment(fleet: Fleet) -> str:
    (running,) = fleet.client.experiments()["experiments"]
    return str(running["id"])


def test_ctrl_c_aborts_and_says_that_every_host_is_clean(fleet: Fleet) -> None:
    """SIGINT of a foreground `chaosctl inject`: exit 5, when every host has proved that it is clean."""
    before = pictures()
    with foreground(fleet) as process:
        assert ping("web1", 5).least >= DELAYED_MS

        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 5
    assert "aborted; every host is clean (3 of 3 proved)" in said
    assert before == pictures()


def test_a_closed_terminal_aborts(fleet: Fleet) -> None:
    """The terminal of a foreground `chaosctl inject` is closed: it ends everything at once, and with exit 5."""
    master, slave = pty.openpty()
    with foreground(fleet, slave) as process:
        experiment = _the_experiment(fleet)
        os.close(slave)
        with Pinging("web1") as pinging:
            ping("web1", 5)
            closed = time.time()

            os.close(master)
            process.wait(30)

    assert process.returncode == 5
    assert pinging.last(DELAYED_MS) < closed + 1.5
    assert (fleet.client.show(experiment)["state"], set(_states(fleet, experiment).values())) == ("aborted", {"clean"})


def test_a_killed_caller_is_missed_after_its_lease(fleet: Fleet) -> None:
    """kill -9 of a foreground `chaosctl inject`: its experiment ends when the caller's 30 s are over."""
    with foreground(fleet) as process, Pinging("web1", 0.1) as pinging:
        experiment = _the_experiment(fleet)

        killed = kill(process.pid)
        # Asked again and again, because a watch of the same operator would count as the caller's.
        wait_until(lambda: fleet.client.show(experiment)["state"] == "aborted")

        end = fleet.client.show(experiment)
        ping("web1", 5)
    assert (end["state"], end["ended"], states(end)) == ("aborted", "caller-lost", {"clean"})
    assert 20 < pinging.last(DELAYED_MS) - killed < 30 + 1
    assert pinging.lost == set()


# --- answers and orders are late --------------------------------------------------------------------------------------


@contextmanager
def answers_lost(host: str) -> Iterator[None]:
    """What the host sends to the controller is dropped; what the controller sends arrives."""
    ports = [f"port{(LAB / each / 'number').read_text().strip()}" for each in (host, "controller")]
    rules = f"""table bridge mute {{
        chain paths {{
            type filter hook forward priority 0
            icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
            iifname {ports[0]} oifname {ports[1]} ether type {{ ip, ip6 }} drop
        }}
    }}"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "bridge", "mute"], check=True)


def test_an_answer_that_is_lost_injects_once(fleet: Fleet) -> None:
    """The answer to a start is lost and the controller asks again: one injection, which runs and ends as asked."""
    experiment = fleet.client.run(latency("100ms", duration="15s"))["experiment"]["id"]
    wait_until(lambda: bool(workers("web1")))
    only = worker("web1")
    os.kill(only, signal.SIGSTOP)  # it is not to answer before answers are lost
    with answers_lost("web1"):
        os.kill(only, signal.SIGCONT)
        wait_until(lambda: ping("web1", 1).least >= DELAYED_MS)
        stop_after = time.time() + 6  # longer than the controller waits for an answer
        wait_until(lambda: time.time() > stop_after)
        assert states(fleet.client.show(experiment)) == {"told"}

    fleet.until(experiment, lambda now: states(now) == {"active"})
    held = (worker("web1"), len(journal("web1")))
    end = fleet.until_over(experiment)

    assert held == (only, 1)
    assert (end["state"], states(end)) == ("completed", {"clean"})


@pytest.mark.parametrize("patience_ms", [20, 120, 400])
def test_a_caller_who_hangs_up_and_asks_again_has_one_injection(fleet: Fleet, patience_ms: int) -> None:
    """A start whose caller gave up at any moment of it, sent again with the same id and digest, is one injection."""
    with agent_of("web1") as agent:
        order = fleet.order(agent, str(uuid.uuid4()))
        with pytest.raises(grpc.RpcError) as first:
            agent.Inject(order, timeout=patience_ms / 1000)

        again = agent.Inject(order, timeout=20)
        wait_until(lambda: _is_active(agent))

        assert first.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert again.injection.id == order.id
        assert journal("web1") == [order.id] and len(workers("web1")) == 1
        assert ping("web1", 5).least >= DELAYED_MS
        assert agent.Revert(agent_pb2.RevertRequest(id=order.id), timeout=10).outcome == agent_pb2.OUTCOME_REVERTED


def _is_active(agent: agent_pb2_grpc.AgentStub) -> bool:
    (only,) = agent.List(agent_pb2.ListRequest(), timeout=10).injections
    return only.state == agent_pb2.INJECTION_STATE_ACTIVE


def reason(error: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[int, str]:
    refused = refusals.unpack(error.value)
    assert refused
    return refused.reason, str(refused)


def test_an_inject_after_its_abort_starts_nothing(fleet: Fleet) -> None:
    """A start decided before an abort and arriving after it is refused; also when the abort is lifted by then."""
    with agent_of("web1") as agent:
        order = fleet.order(agent, str(uuid.uuid4()))
        abort = agent_pb2.AgentAbortRequest(order=agent_pb2.AbortOrder(abort_id="late-1", host_only=True))
        agent.Abort(abort, timeout=10)

        with pytest.raises(grpc.RpcError) as while_up:
            agent.Inject(order, timeout=10)
        agent.Lift(agent_pb2.LiftRequest(abort_ids=["late-1"]), timeout=10)
        with pytest.raises(grpc.RpcError) as afterwards:
            agent.Inject(order, timeout=10)

        assert reason(while_up)[0] == agent_pb2.REFUSED_FENCE and "late-1" in reason(while_up)[1]
        assert reason(afterwards)[0] == agent_pb2.REFUSED_STALE and "generation" in reason(afterwards)[1]
        assert ping("web1", 3).most < 20


def test_an_inject_after_its_revert_starts_nothing(fleet: Fleet) -> None:
    """Reverting an id that never came is answered `no trace`, and from then on that id never starts."""
    with agent_of("web1") as agent:
        injection_id = str(uuid.uuid4())
        reverted = agent.Revert(agent_pb2.RevertRequest(id=injection_id), timeout=10)

        with pytest.raises(grpc.RpcError) as refused:
            agent.Inject(fleet.order(agent, injection_id), timeout=10)

        assert reverted.outcome == agent_pb2.OUTCOME_NO_TRACE
        assert reason(refused)[0] == agent_pb2.REFUSED_STALE and injection_id in reason(refused)[1]
        assert ping("web1", 3).most < 20


def test_an_inject_into_a_frozen_agent_starts_nothing_later(fleet: Fleet) -> None:
    """A start that waits in a frozen agent for longer than 5 s is too old when it is read."""
    with agent_of("web1") as agent:
        order = fleet.order(agent, str(uuid.uuid4()))
        frozen = daemon("web1")
        os.kill(frozen, signal.SIGSTOP)
        call = agent.Inject.future(order, timeout=60)
        stop_after = time.time() + 5.5
        wait_until(lambda: time.time() > stop_after)

        os.kill(frozen, signal.SIGCONT)
        with pytest.raises(grpc.RpcError) as refused:
            call.result()

        assert reason(refused)[0] == agent_pb2.REFUSED_STALE and "too long on its way" in reason(refused)[1]
        assert ping("web1", 3).most < 20


def test_an_abort_overtakes_a_start_in_a_frozen_agent(fleet: Fleet) -> None:
    """Start and abort wait together in a frozen agent: whichever it reads first, nothing is left running."""
    with agent_of("web1") as agent, agent_of("web1") as other:
        order = fleet.order(agent, str(uuid.uuid4()))
        abort = agent_pb2.AgentAbortRequest(order=agent_pb2.AbortOrder(abort_id="late-2", host_only=True))
        other.List(agent_pb2.ListRequest(), timeout=10)
        frozen = daemon("web1")
        os.kill(frozen, signal.SIGSTOP)
        starting = agent.Inject.future(order, timeout=60)
        aborting = other.Abort.future(abort, timeout=60)

        os.kill(frozen, signal.SIGCONT)
        aborting.result()
        starting.exception()  # refused, or started and ended

        agent.Lift(agent_pb2.LiftRequest(abort_ids=["late-2"]), timeout=10)
        wait_until(lambda: not workers("web1"))
        assert journal("web1") == [] and ping("web1", 3).most < 20


# --- at the host's own console ----------------------------------------------------------------------------------------


@pytest.fixture
def resumed_after(fleet: Fleet) -> Iterator[None]:
    """Whatever a test ordered on web1 alone is lifted."""
    yield
    chaos_agent("web1", "resume")


@pytest.mark.usefixtures("resumed_after")
def test_a_person_at_the_console_ends_and_forbids(fleet: Fleet) -> None:
    """On the host, `status` tells what runs, `abort` ends it and keeps more from starting, `resume` allows it again."""
    experiment = fleet.run(latency("100ms", "web[12]", duration="60s"))

    running = chaos_agent("web1", "status")
    aborted = chaos_agent("web1", "abort", "--reason", "hands off")
    mine, other = ping("web1", 5), ping("web2", 5)
    with pytest.raises(Stop) as refused:
        fleet.client.run(latency("100ms", "web1"))
    resumed = chaos_agent("web1", "resume")
    states_then = _states(fleet, experiment)
    fleet.end(experiment)
    fleet.run(latency("50ms", "web1"))

    assert "latency  active" in running.stdout and " left" in running.stdout
    assert aborted.returncode == 0 and "nothing starts here until `chaos-agent resume`" in aborted.stdout
    assert mine.most < 20 and other.least >= DELAYED_MS
    assert refused.value.code == 3 and "hands off" in str(refused.value)
    assert resumed.returncode == 0 and "hands off" in resumed.stdout
    assert states_then == {"web1": "clean", "web2": "active"}


def test_an_operator_ends_a_host_without_the_controller(fleet: Fleet) -> None:
    """With the controller dead an operator's abort goes to the agent itself; the controller hears of it later."""
    fleet.run(latency("100ms", "web[12]", duration="60s", lease="60s"))
    kill(daemon("controller"))
    abort = agent_pb2.AgentAbortRequest(order=agent_pb2.AbortOrder(abort_id="direct-1", reason="no controller"))

    with agent_of("web1", OPERATOR) as agent:
        agent.Abort(abort, timeout=10)
        mine, other = ping("web1", 5), ping("web2", 5)
    lab("start", "controller")
    fleet.wait_online()
    wait_until(lambda: not workers("web2"))

    assert mine.most < 20 and other.least >= DELAYED_MS
    fence = fleet.client.fence()
    assert fence["up"] and [each["abort_id"] for each in fence["orders"]] == ["direct-1"]
    wait_until(lambda: not fleet.client.experiments()["experiments"])
