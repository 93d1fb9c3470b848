"""Who is chosen, and why everybody else is spared."""

import pytest
from chaos_controller.states import Reason
from chaos_controller.targets import Candidate, Choice, Selection, choose, still_matches
from hypothesis import given
from hypothesis import strategies as st

FLEET = [
    Candidate("web1", "1", {"role": "web", "zone": "a"}),
    Candidate("web2", "2", {"role": "web", "zone": "b"}),
    Candidate("web3", "3", {"role": "web"}),
    Candidate("db1", "4", {"role": "db", "zone": "a"}),
]


def nobody(_: Candidate) -> str:
    return ""


def databases(host: Candidate) -> str:
    return "protected" if host.labels["role"] == "db" else ""


def chosen(**selection: object) -> Choice:
    return choose(Selection(**selection), FLEET, nobody, lambda: 7)  # type: ignore[arg-type]


# selection, hosts
MATCHES = [
    pytest.param({"hosts": ("web*",)}, ["web1", "web2", "web3"], id="a glob"),
    pytest.param({"hosts": ("web1", "db1")}, ["db1", "web1"], id="names, any of them"),
    pytest.param({"hosts": ("web[12]",)}, ["web1", "web2"], id="a set of characters"),
    pytest.param({"labels": ("role=web",)}, ["web1", "web2", "web3"], id="a label"),
    pytest.param({"labels": ("role!=web",)}, ["db1"], id="not this value"),
    pytest.param({"labels": ("zone",)}, ["db1", "web1", "web2"], id="has the label"),
    pytest.param({"labels": ("!zone",)}, ["web3"], id="has it not"),
    pytest.param({"labels": ("role=web", "zone=a")}, ["web1"], id="labels, all of them"),
    pytest.param({"hosts": ("*1",), "labels": ("role=web",)}, ["web1"], id="names and labels"),
    pytest.param({"hosts": ("*",), "except_hosts": ("web*",)}, ["db1"], id="except a glob"),
    pytest.param({"hosts": ("*",), "except_hosts": ("canary*",)}, ["db1", "web1", "web2", "web3"], id="except nobody"),
    pytest.param({"hosts": ("*",), "count": 4}, ["db1", "web1", "web2", "web3"], id="a count of all"),
]


@pytest.mark.parametrize(("selection", "names"), MATCHES)
def test_a_selection_means_this(selection: dict[str, object], names: list[str]) -> None:
    """Names and labels and not except, in order of name."""
    assert [host.name for host in chosen(**selection).targets] == names


# selection, culprit, part of the remedy
SLIPS = [
    pytest.param({}, "selection", "name hosts or labels", id="nothing asked for"),
    pytest.param({"hosts": ("nope*",)}, "selection.hosts[0]", "enrolled are db1, web1, web2, web3", id="nobody"),
    pytest.param({"hosts": ("web*", "wbe1")}, "selection.hosts[1]", "matches no host", id="one slip among good ones"),
    pytest.param({"hosts": ("*",), "except_hosts": ("wbe1",)}, "selection.except_hosts[0]", "is no host", id="except"),
    pytest.param({"labels": ("role==web",)}, "selection.labels[0]", "no label expression", id="no expression"),
    pytest.param({"labels": ("role=cache",)}, "selection", "no host is left", id="no such label"),
    pytest.param({"hosts": ("web*",), "count": 4}, "selection.count", "only 3 match", id="too many asked for"),
]


@pytest.mark.parametrize(("selection", "culprit", "remedy"), SLIPS)
def test_a_slip_is_refused_by_name(selection: dict[str, object], culprit: str, remedy: str) -> None:
    """An empty match is refused, and so is every part that matches nobody."""
    choice = chosen(**selection)

    (objection,) = choice.objections
    assert objection.reason is Reason.INPUT
    assert objection.problem.culprit == culprit
    assert remedy in objection.problem.remedy
    assert choice.targets == ()


# share in %, how many of 3
SHARES = [(1, 1), (33, 1), (34, 2), (50, 2), (66, 2), (67, 3), (100, 3)]


@pytest.mark.parametrize(("percent", "number"), SHARES)
def test_a_choice_rounds_up(percent: int, number: int) -> None:
    """30 % of 3 is one host, 50 % is two."""
    choice = chosen(hosts=("web*",), percent_ppm=percent * 10_000)

    assert len(choice.targets) == number


def test_the_draw_is_the_seeds() -> None:
    """The same seed draws the same hosts, and says so for those that are spared."""
    first, again = chosen(hosts=("*",), count=2, seed=7), chosen(hosts=("*",), count=2)

    assert first.targets == again.targets
    assert first.seed == again.seed == 7
    assert {each.why for each in first.spared} == {"not drawn (seed 7)"}


def test_every_host_is_either_hit_or_spared_with_a_reason() -> None:
    """Nobody is missing from the plan."""
    choice = chosen(hosts=("web*",), labels=("zone",), except_hosts=("web2",))

    assert [host.name for host in choice.targets] == ["web1"]
    assert {each.name: each.why for each in choice.spared} == {
        "db1": "its name does not match web*",
        "web2": "excepted by web2",
        "web3": "its labels do not match zone",
    }


def test_a_protected_host_is_spared_by_globs_and_refused_by_name() -> None:
    """A glob means whoever may be hit; a name means this one."""
    by_glob = choose(Selection(hosts=("*",)), FLEET, databases, lambda: 7)
    by_name = choose(Selection(hosts=("db1",)), FLEET, databases, lambda: 7)

    assert [host.name for host in by_glob.targets] == ["web1", "web2", "web3"]
    assert [objection.reason for objection in by_name.objections] == [Reason.LAW]


def test_a_chosen_host_may_cease_to_match() -> None:
    """What a plan's target is checked for again; the draw is not repeated."""
    selection = Selection(labels=("role=web",), count=1)

    assert still_matches(selection, FLEET[0], nobody) == ""
    assert still_matches(selection, FLEET[3], nobody) == "its labels do not match role=web"


@given(st.integers(0, 2**64 - 1), st.integers(1, 10**6), st.integers(1, 60))
def test_a_draw_is_never_short_and_never_more_than_one_over(seed: int, share: int, hosts: int) -> None:
    """The exact amount, rounded up, whatever the seed."""
    fleet = [Candidate(f"h{number}", str(number)) for number in range(hosts)]
    choice = choose(Selection(hosts=("*",), percent_ppm=share, seed=seed), fleet, nobody, lambda: 0)

    assert 0 <= len(choice.targets) - hosts * share / 10**6 < 1
