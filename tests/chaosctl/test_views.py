"""What commands show, to the letter."""

from typing import Any

import pytest
from chaosctl.render import plain
from chaosctl.views import experiment_page, experiments_sheet, measurements, note_of, plan_page, receipts_page

FAULT = {"latency": {"delay": "100ms", "jitter": "0s"}}
SPEC = {"faults": [FAULT], "selection": {"hosts": ["web*"], "seed": 7}, "duration": "2m", "lease": "15s"}
TARGET: dict[str, Any] = {
    "host": "web1",
    "fault": FAULT,
    "state": "clean",
    "ended": "duration",
    "observed": {"delay_ns": 1.0002e8, "jitter_ns": 0, "matched_packets": 1204.0},
    "active": "2026-01-31T12:00:00Z",
    "inert": "2026-01-31T12:02:00Z",
    "clean": "2026-01-31T12:02:01Z",
}
EXPERIMENT: dict[str, Any] = {
    "id": "3f9a1c2e-0000-4000-8000-000000000000",
    "state": "completed",
    "by": "operator ada",
    "spec": SPEC,
    "plan_hash": "ab12",
    "targets": [TARGET],
    "created": "2026-01-31T11:59:59Z",
    "started": "2026-01-31T12:00:00Z",
}
PLAN: dict[str, Any] = {
    "hash": "ab12",
    "spec": SPEC,
    "targets": [
        {
            "host": "web1",
            "verdicts": [{"facts": {"interface": "eth0"}, "notes": ["SSH stays untouched"], "problems": []}],
        }
    ],
    "spared": [{"host": "db1", "why": "matches none of web*"}],
    "problems": [],
    "budget": "cap 50% of 4 = 2; spent 0",
    "expires": "2026-01-31T13:00:00Z",
}


NOTED: list[tuple[str, list[str]]] = [("web1", []), ("web2", ["alone"])]


def test_an_experiment_that_is_over() -> None:
    """Who, what, on which hosts, what was seen, and when each was proved clean."""
    assert plain(experiment_page(EXPERIMENT)) == (
        "experiment  3f9a1c2e-0000-4000-8000-000000000000\n"
        "state       completed\n"
        "fault       latency delay=100ms\n"
        "hosts       hosts=web* seed=7\n"
        "duration    2m, lease 15s\n"
        "by          operator ada\n"
        "plan        ab12\n"
        "times       created 2026-01-31 11:59:59Z, started 2026-01-31 12:00:00Z\n"
        "\n"
        f"HOST  STATE  ENDED BY  {'ASKED AND SEEN':<49}{'ACTIVE':<22}{'INERT':<22}{'CLEAN':<22}NOTE\n"
        "web1  clean  duration  delay 100ms, set 100.0ms; matched packets 1,204  "
        "2026-01-31 12:00:00Z  2026-01-31 12:02:00Z  2026-01-31 12:02:01Z"
    )


def test_a_plan() -> None:
    """Who will be hit and as what, why everyone else will not, the sum, the seed and the hash."""
    assert plain(plan_page(PLAN)) == (
        "fault     latency delay=100ms\n"
        "duration  2m, lease 15s\n"
        "\n"
        "1 host will be hit:\n"
        "HOST  HOW\n"
        "web1  interface=eth0\n"
        "\n"
        "good to know:\n"
        "  SSH stays untouched\n"
        "\n"
        "1 host will not:\n"
        "HOST  WHY NOT\n"
        "db1   matches none of web*\n"
        "\n"
        "budget    cap 50% of 4 = 2; spent 0\n"
        "seed      7\n"
        "plan      ab12 (until 2026-01-31 13:00:00Z)"
    )


def test_a_plan_that_hits_nobody() -> None:
    """Says so in words, and has no hash to run."""
    assert plain(plan_page({"spec": {"duration": "2m", "lease": "15s"}, "problems": []})) == (
        "duration  2m, lease 15s\n\nno host will be hit\n\nno host will not\n"
    )


def test_a_plan_that_would_be_refused_says_why() -> None:
    """Each problem with culprit, value and remedy."""
    problem = {"culprit": "policy", "value": "3 hosts", "remedy": "at most 2 at once"}

    shown = plain(plan_page({**PLAN, "problems": [problem]}))

    assert "it would be refused now:\nCULPRIT  VALUE    REMEDY\npolicy   3 hosts  at most 2 at once" in shown


def test_a_plan_shows_what_a_host_can_not() -> None:
    """A problem of one host stands in its row."""
    verdict = {"facts": {}, "notes": ["a note"], "problems": [{"culprit": "sch_netem", "remedy": "modprobe it"}]}

    shown = plain(plan_page({**PLAN, "targets": [{"host": "web1", "verdicts": [verdict]}]}))

    assert "HOST  HOW  WHAT IS WRONG\nweb1       sch_netem  modprobe it\n" in shown


def test_a_plan_says_a_note_once() -> None:
    """What holds of all hosts is said once; what holds of some names them."""
    hosts = [{"host": host, "verdicts": [{"notes": ["both", *more], "problems": []}]} for host, more in NOTED]

    shown = plain(plan_page({**PLAN, "targets": hosts}))

    assert "good to know:\n  both\n  web2: alone\n" in shown


def test_receipts_of_an_abort() -> None:
    """A line a host, and what the fence now does."""
    report = {"receipts": [{"host": "web1", "state": "clean", "says": "clean, inert after 4 ms"}], "fence_up": True}

    assert plain(receipts_page(report)) == (
        "HOST  STATE  RECEIPT\n"
        "web1  clean  clean, inert after 4 ms\n"
        "\n"
        "the fence is up: nothing new starts until `chaosctl fence lift`"
    )


def test_experiments_a_line_each() -> None:
    """Enough to tell them apart and to type the next command; many hosts are counted."""
    targets = [{"host": f"web{number}"} for number in range(1, 6)]
    running = {**EXPERIMENT, "state": "running", "targets": targets, "left": "1m42.4s"}

    assert plain([experiments_sheet([running], "nothing runs")]) == (
        "ID        STATE    FAULT                HOSTS                      LEFT   BY            CREATED\n"
        "3f9a1c2e  running  latency delay=100ms  web1,web2,web3 and 2 more  1m42s  operator ada  2026-01-31 11:59:59Z"
    )


@pytest.mark.parametrize(
    ("target", "note"),
    [
        pytest.param({"drift": "qdisc is gone"}, "drift: qdisc is gone", id="drift"),
        pytest.param(
            {"reachable": False, "lease_ends": "2026-01-31T12:00:31Z"},
            "unreachable, ends by itself at the latest 2026-01-31 12:00:31Z",
            id="unreachable",
        ),
        pytest.param({"reachable": False}, "unreachable", id="unreachable-since-ever"),
        pytest.param({"state": "active", "unproven": "no traffic yet"}, "no traffic yet", id="unproven"),
        pytest.param({"state": "clean", "unproven": "no traffic"}, "unproven: no traffic", id="unproven-to-the-end"),
        pytest.param({"note": "left: ifb0", "accepted_by": "ada"}, "left: ifb0; accepted by ada", id="accepted"),
    ],
)
def test_notes(target: dict[str, Any], note: str) -> None:
    """What is wrong with a host comes first."""
    assert note_of(target) == note


def test_measures_that_answer_to_a_parameter_come_first() -> None:
    """Asked beside seen, then what was counted; a measure that the catalogue lacks is left out."""
    target = {**TARGET, "observed": {"matched_packets": 3.0, "delay_ns": 9.9e7, "unheard_of": 1.0}}

    assert measurements(target) == ["delay 100ms, set 99.0ms", "matched packets 3"]


def test_counts_of_nothing_are_left_out() -> None:
    """But for the first, which says that nothing was matched."""
    target = {**TARGET, "observed": {"matched_packets": 0.0, "matched_bytes": 0.0, "dropped_packets": 2.0}}

    assert measurements(target) == ["matched packets 0", "dropped packets 2"]


def test_a_fault_newer_than_this_program_has_no_measures() -> None:
    """It is shown all the same."""
    assert measurements({"fault": {}, "observed": {"x_ns": 1.0}}) == []
