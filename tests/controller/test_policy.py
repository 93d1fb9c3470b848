"""The policy file: what it says, and what is wrong with it."""

from pathlib import Path

import pytest
from chaos_controller import policy
from chaos_controller.policy import Policy
from chaos_controller.targets import Candidate
from chaos_protocol.problems import Refused

KINDS = ("latency", "cpu")
WHOLE = """
hosts_at_once: 4
percent_at_once: {fleet: 50%, role=web: 34%, zone: 20%}
longest_duration: 10m
kinds: [latency]
protected: {hosts: [db1, 'pay*'], labels: [tier=gold]}
retire_offline_after: 7d
"""


def test_a_policy_is_read_whole(tmp_path: Path) -> None:
    """Every key has its place."""
    path = tmp_path / "policy.yaml"
    path.write_text(WHOLE)

    assert policy.load(path, KINDS) == Policy(
        hosts_at_once=4,
        percent_at_once={"fleet": 500_000, "role=web": 340_000, "zone": 200_000},
        longest_duration_ns=600 * 10**9,
        kinds=frozenset({"latency"}),
        protected_hosts=("db1", "pay*"),
        protected_labels=("tier=gold",),
        retire_offline_after_ns=7 * 86400 * 10**9,
    )


def test_without_a_file_the_default_holds() -> None:
    """Ten hosts for an hour, every kind."""
    assert policy.load(None, KINDS) == Policy(hosts_at_once=10, longest_duration_ns=3600 * 10**9)


def test_all_problems_come_at_once() -> None:
    """Each with its key, its value and what to write instead."""
    document = {
        "hosts_at_once": 0,
        "percent_at_once": {"fleet": "120%", "role==web": "5"},
        "longest_duration": 60,
        "kinds": ["latancy"],
        "protected": {"host": ["db1"], "labels": ["=x"]},
        "max_hosts": 3,
    }

    with pytest.raises(Refused) as caught:
        policy.read(document, KINDS)

    assert [problem.culprit for problem in caught.value.problems] == [
        "hosts_at_once",
        "percent_at_once.fleet",
        "percent_at_once.role==web",
        "percent_at_once.role==web",
        "longest_duration",
        "kinds",
        "protected.host",
        "protected.labels",
        "max_hosts",
    ]


def test_no_cap_at_all_has_to_be_said() -> None:
    """Unlimited is a word, not a missing key."""
    assert policy.read({"hosts_at_once": "unlimited"}, KINDS).hosts_at_once is None
    assert policy.read({}, KINDS).hosts_at_once == 10


# host, why
PROTECTED = [
    pytest.param(Candidate("db1", "1"), "protected by the policy (hosts: db1)", id="by name"),
    pytest.param(Candidate("pay7", "2"), "protected by the policy (hosts: pay*)", id="by glob"),
    pytest.param(Candidate("web1", "3", {"tier": "gold"}), "protected by the policy (labels: tier=gold)", id="label"),
    pytest.param(Candidate("web2", "4", {"tier": "lead"}), "", id="not at all"),
]


@pytest.mark.parametrize(("host", "why"), PROTECTED)
def test_protected_hosts(host: Candidate, why: str) -> None:
    """By name, glob or label, and the policy says which."""
    limits = Policy(protected_hosts=("db1", "pay*"), protected_labels=("tier=gold",))

    assert limits.protects(host) == why


def test_a_kind_or_a_duration_beyond_the_policy_is_named() -> None:
    """With what is allowed."""
    limits = Policy(longest_duration_ns=60 * 10**9, kinds=frozenset({"latency"}))

    objections = limits.objections(["cpu"], 61 * 10**9)

    assert [str(each.problem) for each in objections] == [
        "duration: 1m1s: the policy allows at most 1m",
        "faults: cpu: the policy allows only: latency",
    ]
