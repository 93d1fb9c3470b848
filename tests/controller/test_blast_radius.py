"""The budget's sums: what is spent, what a cap allows, what the refusal says."""

from collections.abc import Mapping

import pytest
from chaos_controller.blast_radius import Member, empty_caps, objections, sums, with_presence
from chaos_controller.policy import Policy
from chaos_controller.states import Reason

NOON = 1_800_000_000 * 10**9


def fleet(hosts: int = 10, spent: int = 0, offline: int = 0) -> list[Member]:
    """The first are spent, the last offline."""
    return [
        Member(
            f"web{number}",
            {"role": "web", "zone": "ab"[number % 2]},
            NOON if number >= hosts - offline else None,
            "under fault" if number < spent else "",
        )
        for number in range(hosts)
    ]


def reasons(policy: Policy, members: list[Member], *wanted: str) -> list[Reason]:
    return [each.reason for each in objections(policy, members, wanted)]


# caps, spent, offline, wanted, reasons
RULES = [
    pytest.param({"hosts_at_once": 2}, 1, 0, ["web5"], [], id="the last of an absolute cap"),
    pytest.param({"hosts_at_once": 2}, 2, 0, ["web5"], [Reason.BUDGET], id="one beyond an absolute cap"),
    pytest.param({"hosts_at_once": 2}, 2, 0, ["web1"], [], id="a host counts once"),
    pytest.param({"hosts_at_once": 1}, 0, 5, ["web1"], [], id="offline hosts are not in an absolute cap"),
    pytest.param({"percent_at_once": {"fleet": 500_000}}, 3, 1, ["web4"], [], id="the last of a share"),
    pytest.param({"percent_at_once": {"fleet": 500_000}}, 3, 2, ["web4"], [Reason.BUDGET], id="offline are in a share"),
    pytest.param({"percent_at_once": {"fleet": 590_000}}, 5, 0, ["web6"], [Reason.BUDGET], id="a cap rounds down"),
    pytest.param({"percent_at_once": {"zone": 200_000}}, 1, 0, ["web1"], [], id="each value is its own group"),
    pytest.param({"percent_at_once": {"zone": 200_000}}, 1, 0, ["web2"], [Reason.BUDGET], id="the same value"),
    pytest.param({"percent_at_once": {"role=web": 90_000}}, 0, 0, ["web1"], [Reason.LAW], id="a cap of nothing"),
]


@pytest.mark.parametrize(("caps", "spent", "offline", "wanted", "expected"), RULES)
def test_a_cap_holds(
    caps: Mapping[str, object], spent: int, offline: int, wanted: list[str], expected: list[Reason]
) -> None:
    """Over all experiments, and on top of what can't be seen."""
    limits = Policy(**({"hosts_at_once": None} | dict(caps)))  # type: ignore[arg-type]

    assert reasons(limits, fleet(spent=spent, offline=offline), *wanted) == expected


def test_a_refusal_prints_the_sum() -> None:
    """Cap, what it comes to, who has spent it and why, and how to get out."""
    limits = Policy(hosts_at_once=None, percent_at_once={"fleet": 500_000})
    members = [
        Member("web1"),
        Member("web2"),
        Member("web3", offline_since=NOON),
        Member("web4", unproved="not proved clean (experiment 12345678)"),
    ]

    (objection,) = objections(limits, members, ["web1"])

    assert objection.problem.value == (
        "cap 50% of 4 in the fleet = 2; spent 2: web3 offline since 2027-01-15T08:00:00Z, "
        "web4 not proved clean (experiment 12345678); asked for 1 more"
    )
    assert "chaosctl hosts accept|retire" in objection.problem.remedy


def test_the_default_policy_lets_three_of_four_run() -> None:
    """The first line of the README."""
    assert reasons(Policy(), fleet(4), "web0", "web1", "web2") == []


def test_a_cap_of_nothing_is_told_before_anybody_asks() -> None:
    """A share that rounds to no host at all is a mistake in the policy."""
    limits = Policy(percent_at_once={"fleet": 90_000})

    assert empty_caps(limits, fleet(10)) == (
        "policy: cap 9% of 10 in the fleet = 0 lets nothing run there; raise the percentage",
    )
    assert empty_caps(limits, []) == ()


def test_the_long_lost_leave_the_sum_but_not_with_a_debt() -> None:
    """A host gone for longer than the policy waits is out; one that is not proved clean stays in."""
    members = [Member("web1"), Member("web2"), Member("web3", unproved="under fault")]
    offline = {"web2": NOON - 100, "web3": NOON - 100}

    present = with_presence(members, offline, 100, NOON)

    assert [(member.name, member.offline_since) for member in present] == [("web1", None), ("web3", NOON - 100)]


def test_all_caps_are_in_the_picture() -> None:
    """Status shows each."""
    limits = Policy(hosts_at_once=3, percent_at_once={"fleet": 500_000, "zone": 500_000})

    assert [each.cap for each in sums(limits, fleet(4))] == [
        "3 hosts",
        "50% of 4 in the fleet",
        "50% of 2 with zone=a",
        "50% of 2 with zone=b",
    ]
