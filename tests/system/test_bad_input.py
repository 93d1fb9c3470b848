"""What is wrong is refused whole before anything is touched: culprit, value, remedy, and the documented exit code."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from chaos_protocol import calling, refusals
from chaos_protocol.v1 import agent_pb2, controller_pb2
from chaosctl import credentials
from chaosctl.__main__ import main
from chaosctl.client import read_spec
from chaosctl.session import Session
from chaosctl.terminal import Terminal

from tests.system.fleet import (
    HOSTS,
    LAB,
    OPERATOR,
    Fleet,
    agent_of,
    chaosctl,
    journal,
    lab,
    latency,
    pictures,
    workers,
)

REFUSED, FORBIDDEN = 2, 3
Typed = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module", autouse=True)
def untouched(whole_fleet: Fleet) -> Iterator[None]:
    """Nothing here may touch a host, nor leave an experiment behind."""
    before = pictures()
    known = whole_fleet.client.experiments(over=True)
    yield
    assert known == whole_fleet.client.experiments(over=True)
    assert before == pictures()
    assert not any(journal(host) or workers(host) for host in HOSTS)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type a command, in this process: its exit code and what it says on stderr. Nothing may come on stdout."""

    def type_it(*words: str) -> tuple[int, str]:
        code = main(words, Session(home=OPERATOR, terminal=Terminal({})))
        said = capsys.readouterr()
        assert said.out == ""
        return code, said.err

    return type_it


# id: what is typed after `inject latency`, exit code, what must be said
TYPED = {
    "a bare number": (["--hosts", "web1", "--delay", "100"], REFUSED, ["--delay 100 ", "ms"]),
    "a negative delay": (["--hosts", "web1", "--delay", "-5ms"], REFUSED, ["--delay -5ms"]),
    "a delay that is too long": (["--hosts", "web1", "--delay", "2h"], REFUSED, ["--delay 2h", "at most 60s"]),
    "no delay": (["--hosts", "web1"], REFUSED, ["--delay", "required"]),
    "a port that is none": (
        ["--hosts", "web1", "--delay", "100ms", "--to-port", "70000"],
        REFUSED,
        ["--to-port 70000", "65535"],
    ),
    "an interface that is none": (
        ["--hosts", "web1", "--delay", "100ms", "--interface", "eth9"],
        REFUSED,
        ["web1", "eth9", "eth0"],
    ),
    "hosts that are none": (["--hosts", "nope*", "--delay", "100ms"], REFUSED, ["--hosts", "nope*", "web1"]),
    "a flag that is none": (["--hosts", "web1", "--dealy", "100ms"], REFUSED, ["--dealy", "did you mean --delay"]),
    "another tool's flag": (["--hosts", "web1", "--latency", "100ms"], REFUSED, ["--latency", "--delay"]),
    "a duration that is none": (
        ["--hosts", "web1", "--delay", "100ms", "--duration", "25h"],
        REFUSED,
        ["--duration 25h", "24h"],
    ),
    "a word that is none": (
        ["--hosts", "web1", "--delay", "100ms", "--direction", "sideways"],
        REFUSED,
        ["--direction sideways", "egress", "ingress", "both"],
    ),
}


@pytest.mark.parametrize(("words", "code", "said"), TYPED.values(), ids=TYPED.keys())
def test_refuses_what_is_typed_wrong(typed: Typed, words: list[str], code: int, said: list[str]) -> None:
    """A wrong flag, value or name is refused with what is wrong, its value and what would be right."""
    ended, err = typed("inject", "latency", *words)

    assert ended == code
    assert "refused; nothing was touched" in err
    assert [each for each in said if each not in err] == [], err


def test_tells_every_problem_at_once(typed: Typed) -> None:
    """One refusal names all that is wrong, so that nobody mends a command line by instalments."""
    words = ["--delay", "100", "--to-port", "70000", "--duration", "5", "--direction", "up", "--nonsense", "1"]

    code, err = typed("inject", "latency", "--hosts", "web1", *words)

    assert code == REFUSED
    assert [each for each in words[::2] if each not in err] == [], err


def test_names_every_host_that_cannot(typed: Typed) -> None:
    """What hosts themselves refuse is told for each of them."""
    code, err = typed("inject", "latency", "--hosts", "*", "--delay", "100ms", "--interface", "eth9")

    assert code == REFUSED
    assert [host for host in HOSTS if f"{host}" not in err] == []


def test_the_real_command_refuses(untouched: None) -> None:
    """The same as a process of its own: nothing on stdout, the reason on stderr, the status for scripts."""
    done = chaosctl("inject", "latency", "--hosts", "web*", "--delay", "100", "--to-port", "70000")

    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "--delay 100 " in done.stderr and "--to-port 70000" in done.stderr


def test_an_unknown_key_in_a_file_is_refused(typed: Typed, tmp_path: Path) -> None:
    """A key that nobody knows, at any depth, is refused by its path: it may be the filter that was meant to protect."""
    spec = latency("100ms", to_prt=["5432"])
    spec |= {"durations": "5s"}
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(spec))

    code, err = typed("inject", "--file", str(file))

    assert code == REFUSED
    assert "faults[0].latency.to_prt" in err and "to_port" in err and "durations" in err


# --- fields that nobody knows, on the wire ----------------------------------------------------------------------------

NEWER = b"\xc2\x3e\x05never"
"""Field 1000, text: what a newer program might send."""


def refusal_of(error: grpc.RpcError) -> tuple[int, str]:
    """The reason of a refusal, and all that it says."""
    refused = refusals.unpack(error)
    assert refused, error
    return refused.reason, str(refused)


def test_a_field_unknown_to_the_controller_is_refused() -> None:
    """A field that this controller does not know, within the fault, is refused: it may be a filter."""
    request = controller_pb2.RunRequest(spec=read_spec(latency("100ms")))
    request.spec.faults[0].latency.MergeFromString(NEWER)
    mine, who = credentials.load(OPERATOR)
    with calling.sync_channel("controller:7443", mine, credentials.controller_of(who.fleet)) as channel:
        run = channel.unary_unary("/chaos.v1.Controller/Run", controller_pb2.RunRequest.SerializeToString, bytes)

        with pytest.raises(grpc.RpcError) as refused:
            run(request, timeout=20)

    reason, said = refusal_of(refused.value)
    assert reason == agent_pb2.REFUSED_INPUT and "faults[0].latency" in said and "1000" in said


def test_a_field_unknown_to_the_agent_is_refused_where_it_shapes_a_fault(whole_fleet: Fleet) -> None:
    """An agent refuses a start with a field that it does not know, and ends what it is told to end all the same."""
    with agent_of("web1") as agent:
        order = whole_fleet.order(agent, str(uuid.uuid4()))
        order.fault.latency.MergeFromString(NEWER)
        revert = agent_pb2.RevertRequest(id=order.id)
        revert.MergeFromString(NEWER)

        with pytest.raises(grpc.RpcError) as refused:
            agent.Inject(order, timeout=20)
        ended = agent.Revert(revert, timeout=20)

    reason, said = refusal_of(refused.value)
    assert reason == agent_pb2.REFUSED_INPUT and "fault.latency" in said and "1000" in said
    assert ended.outcome == agent_pb2.OUTCOME_NO_TRACE


# --- the policy, and the law of a host --------------------------------------------------------------------------------

POLICY = """
hosts_at_once: 2
longest_duration: 10m
protected:
  hosts: [db1]
"""
LAW = """
limits:
  longest_duration: 30s
  most: {latency.delay: 1s}
"""


@pytest.fixture(scope="module")
def limited(whole_fleet: Fleet) -> Iterator[None]:
    """A controller with limits of its own, and web2 with an owner who allows less."""
    policy, law = LAB / "controller/policy.yaml", LAB / "web2/agent.yaml"
    texts = {path: path.read_text() for path in (policy, law)}
    policy.write_text(POLICY)
    law.write_text(texts[law] + LAW)
    _restart(whole_fleet, "controller", "web2")
    yield
    for path, text in texts.items():
        path.write_text(text)
    _restart(whole_fleet, "controller", "web2")


def _restart(fleet: Fleet, *daemons: str) -> None:
    for name in daemons:
        lab("stop", name)
        lab("start", name)
    fleet.wait_online()


# id: what is typed after `inject latency --delay 100ms`, what must be said
LIMITED = {
    "more hosts than allowed": (["--hosts", "web*"], ["budget", "cap 2 hosts = 2", "asked for 3 more", "--count"]),
    "a protected host": (["--hosts", "db1"], ["db1", "protected by the policy"]),
    "longer than the policy": (["--hosts", "web1", "--duration", "11m"], ["--duration 11m", "at most 10m"]),
    "longer than the host's law": (["--hosts", "web2", "--duration", "31s"], ["web2", "31s", "agent.yaml", "30s"]),
    "more than the host's law": (
        ["--hosts", "web2", "--duration", "20s", "--delay", "2s"],
        ["web2", "delay", "2s", "agent.yaml", "1s"],
    ),
}


@pytest.mark.parametrize(("words", "said"), LIMITED.values(), ids=LIMITED.keys())
def test_refuses_what_is_beyond_the_limits(limited: None, typed: Typed, words: list[str], said: list[str]) -> None:
    """Policy and the host's own law are refused with exit 3, the limit and the way out."""
    delay = [] if "--delay" in words else ["--delay", "100ms"]

    code, err = typed("inject", "latency", *words, *delay)

    assert code == FORBIDDEN
    assert [each for each in said if each not in err] == [], err


def test_a_protected_host_is_spared_among_others(limited: None, whole_fleet: Fleet) -> None:
    """A glob that takes in a protected host hits the others, and the plan says why it is spared."""
    plan = whole_fleet.client.plan(latency("100ms", "[dw]*[12]", duration="10s"))

    assert [target["host"] for target in plan["targets"]] == ["web1", "web2"]
    assert "protected by the policy" in {spared["host"]: spared["why"] for spared in plan["spared"]}["db1"]


def test_the_host_refuses_beyond_its_law_whoever_asks(limited: None, whole_fleet: Fleet) -> None:
    """An agent holds its owner's law even against an order of its controller that nobody planned."""
    with agent_of("web2") as agent:
        order = whole_fleet.order(agent, str(uuid.uuid4()))

        with pytest.raises(grpc.RpcError) as refused:
            agent.Inject(order, timeout=20)

    reason, said = refusal_of(refused.value)
    assert (reason, "30s" in said) == (agent_pb2.REFUSED_LAW, True), said


def test_a_plan_that_the_law_forbids_names_all_limits(limited: None, typed: Typed) -> None:
    """Policy, budget and a host's law are told in one refusal."""
    code, err = typed("inject", "latency", "--hosts", "web*", "--delay", "2s", "--duration", "11m")

    assert code == FORBIDDEN
    assert "cap 2 hosts" in err and "at most 10m" in err and "web2" in err and "1s" in err


def test_nobody_is_told_by_a_dry_run(limited: None) -> None:
    """`--dry-run` shows the plan with what speaks against it, by the same exit code, and touches nothing."""
    done = chaosctl("inject", "latency", "--hosts", "web*", "--delay", "100ms", "--dry-run", "-o", "json")

    assert done.returncode == FORBIDDEN
    assert "budget" in {problem["culprit"] for problem in json.loads(done.stdout)["problems"]}
