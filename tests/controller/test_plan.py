"""The hash of a decision: what is in it, and what is not."""

import dataclasses
from collections.abc import Callable

import pytest
from chaos_controller import plan, wire
from chaos_controller.experiment import Request
from chaos_controller.plan import PlannedTarget, Verdict
from chaos_controller.policy import Policy
from chaos_controller.states import Reason
from chaos_controller.targets import Candidate
from chaos_protocol.problems import Problem

from tests.controller.conftest import spec

WEB = [Candidate("web1", "1", {"role": "web"}), Candidate("web2", "2")]
BASE = wire.request_of(spec("web*"))


def hash_of(request: Request = BASE, hosts: list[Candidate] = WEB, catalogue: str = "c") -> str:
    return plan.hash_of(request, hosts, catalogue)


# what changes
DECISIVE: list[object] = [
    pytest.param(lambda: hash_of(wire.request_of(spec("web*", duration="31s"))), id="duration"),
    pytest.param(lambda: hash_of(wire.request_of(spec("web*", lease="3s"))), id="lease"),
    pytest.param(lambda: hash_of(wire.request_of(spec("web*", start_in="1s"))), id="offset"),
    pytest.param(
        lambda: hash_of(wire.request_of(spec("web*", faults=[{"latency": {"delay": "101ms"}}]))), id="parameter"
    ),
    pytest.param(lambda: hash_of(hosts=WEB[:1]), id="targets"),
    pytest.param(lambda: hash_of(hosts=[WEB[0], Candidate("web2", "9")]), id="another host of that name"),
    pytest.param(lambda: hash_of(catalogue="d"), id="catalogue"),
]


@pytest.mark.parametrize("changed", DECISIVE)
def test_the_decision_is_in_the_hash(changed: Callable[[], str]) -> None:
    """Whatever would happen differently."""
    assert changed() != hash_of()


# what changes
CIRCUMSTANCES: list[object] = [
    pytest.param(lambda: hash_of(wire.request_of(spec("web1", "web2"))), id="how hosts were named"),
    pytest.param(lambda: hash_of(wire.with_seed(BASE, 7)), id="seed"),
    pytest.param(lambda: hash_of(wire.request_of(spec("web*", reason="game day"))), id="reason"),
    pytest.param(lambda: hash_of(hosts=list(reversed(WEB))), id="order"),
    pytest.param(lambda: hash_of(hosts=[dataclasses.replace(WEB[0], labels={}), WEB[1]]), id="labels"),
    pytest.param(
        lambda: hash_of(wire.request_of(spec("web*", faults=[{"latency": {"delay": "100ms", "reorder": "forbid"}}]))),
        id="a default that is spelled out",
    ),
]


@pytest.mark.parametrize("changed", CIRCUMSTANCES)
def test_circumstances_are_not_in_the_hash(changed: Callable[[], str]) -> None:
    """Who, when, how it was put."""
    assert changed() == hash_of()


def test_frozen_targets_are_checked_again() -> None:
    """Gone, replaced, protected, relabelled: each is named. A new match is not."""
    request = wire.request_of(spec("web*", selection={"labels": ["role=web"]}))
    web = {"role": "web"}
    fleet = {
        "web1": Candidate("web1", "1", web),
        "web2": Candidate("web2", "other", web),
        "web3": Candidate("web3", "3", web),
        "web4": Candidate("web4", "4", {"role": "db"}),
        "web9": Candidate("web9", "9", web),
    }
    frozen = [("web1", "1"), ("web2", "2"), ("web3", "3"), ("web4", "4"), ("web5", "5")]

    objections = plan.objections_to_frozen(request, frozen, fleet, Policy(protected_hosts=("web3",)))

    assert [(each.problem.value, each.reason) for each in objections] == [
        ("web2", Reason.MISSING),
        ("web3", Reason.LAW),
        ("web4", Reason.INPUT),
        ("web5", Reason.MISSING),
    ]


# expires, catalogue, reasons
AGES = [
    pytest.param(10, "c", [], id="valid"),
    pytest.param(9, "c", [Reason.MISSING], id="expired"),
    pytest.param(10, "d", [Reason.STALE], id="other catalogue"),
]


@pytest.mark.parametrize(("expires_at", "catalogue", "reasons"), AGES)
def test_a_plan_ends(expires_at: int, catalogue: str, reasons: list[Reason]) -> None:
    """After an hour, or with another catalogue."""
    assert [each.reason for each in plan.objections_to_age("h", expires_at, catalogue, "c", now=9)] == reasons


def test_what_a_host_objects_to_bears_its_name() -> None:
    """With its own reason."""
    verdict = Verdict((Problem("interface", "eth9", "there is eth0"),), Reason.LAW)

    (objection,) = plan.objections_of_hosts([PlannedTarget("web1", "1", (verdict, Verdict()))])

    assert str(objection.problem) == "web1: interface: eth9: there is eth0"
    assert objection.reason is Reason.LAW
