"""Rules of the small modules: labels, the fence, time, receipts, tokens."""

import pytest
from chaos_controller import labels, receipts, timing, tokens
from chaos_controller.config import Config
from chaos_controller.experiment import Row
from chaos_controller.fence import Fence
from chaos_controller.states import TargetState
from chaos_controller.store.records import AbortRecord
from chaos_controller.timing import SECOND, HostClock
from chaos_protocol.problems import Refused

NOON = 1_800_000_000 * SECOND
A, B = AbortRecord("a", "fire", "ada", 1), AbortRecord("b", "smoke", "bob", 2)


# text, what is meant
EXPRESSIONS = [("role=web", "role=web"), ("role!=db", "role!=db"), (" zone ", "zone"), ("!zone", "!zone")]


@pytest.mark.parametrize(("text", "meant"), EXPRESSIONS)
def test_a_label_expression_is_read(text: str, meant: str) -> None:
    """And shown as it is written."""
    assert str(labels.parse(text)) == meant


@pytest.mark.parametrize("text", ["", "=web", "role=", "role=a,b", "!role=web", "role=web zone=a", "-x"])
def test_what_is_no_label_expression(text: str) -> None:
    """Says how to write one."""
    with pytest.raises(ValueError, match="write role=web"):
        labels.parse(text)


def test_labels_of_a_host_are_checked() -> None:
    """Keys and values, all at once."""
    problems = list(labels.problems_of({"role": "web", "a b": "x", "c": "ü"}))

    assert [problem.culprit for problem in problems] == ["labels", "labels.c"]


def test_the_fence_is_up_while_any_abort_is() -> None:
    """Two aborts, one lifted."""
    fence = Fence()
    fence.put_up(A)
    fence.put_up(B)

    fence.lift(["a"])

    assert fence.is_up
    assert [record.id for record in fence.up] == ["b"]


def test_a_lift_that_comes_first_counts() -> None:
    """Order does not matter."""
    fence = Fence()
    fence.lift(["a"])

    assert not fence.put_up(A)
    assert not fence.is_up


def test_a_hosts_clock_is_the_least_difference() -> None:
    """The way of a message only ever adds."""
    clock = HostClock(1000).heard(tick=50, now=1040).heard(tick=60, now=1100)

    assert clock.instant(70) == 1060


# leases, seconds between ticks
TICKS = [([], 30), ([15], 3), ([15, 5], 1)]


@pytest.mark.parametrize(("leases_s", "interval_s"), TICKS)
def test_ticks_come_five_a_lease(leases_s: list[int], interval_s: int) -> None:
    """Of the shortest lease that is held; every thirty seconds when idle."""
    assert timing.tick_interval([lease * SECOND for lease in leases_s]) == interval_s * SECOND


# row, reachable, says
ROWS = [
    pytest.param(Row("i", "a", state=TargetState.CLEAN, inert_at=NOON + 4_200_000), True, "clean, inert after 4ms"),
    pytest.param(Row("i", "a", state=TargetState.CLEAN, inert_at=NOON - 1), True, "clean, inert before"),
    pytest.param(Row("i", "a", state=TargetState.NEVER_STARTED), True, "never started"),
    pytest.param(Row("i", "a", state=TargetState.ENDING), True, "reverting"),
    pytest.param(Row("i", "a", state=TargetState.ENDING, inert_at=NOON), True, "reverting, inert after 1ms"),
    pytest.param(
        Row("i", "a", state=TargetState.ENDING),
        False,
        "unreachable, ends by itself at the latest 2027-01-15T08:00:15Z",
    ),
    pytest.param(Row("i", "a", state=TargetState.ENDING, stuck=True, note="qdisc"), True, "still present: qdisc"),
    pytest.param(
        Row("i", "a", state=TargetState.ACCEPTED, accepted_by="ada", note="dead"), False, "accepted by ada: dead"
    ),
]


@pytest.mark.parametrize(("row", "reachable", "says"), ROWS)
def test_a_receipt_says_it_in_a_line(row: Row, reachable: bool, says: str) -> None:
    """Proved, under way, or when it ends by itself."""
    assert receipts.of_row("e", row, NOON, NOON + 15 * SECOND, reachable).says == says


def test_a_bound_is_never_told_too_early() -> None:
    """A host that ends by itself within a second is said to end at that second's end, not at its beginning."""
    row = Row("i", "a", state=TargetState.ENDING)

    said = receipts.of_row("e", row, NOON, NOON + 15 * SECOND + 1, reachable=False).says

    assert said.endswith("at the latest 2027-01-15T08:00:16Z")


def test_a_token_is_refused_with_every_problem() -> None:
    """Name, role and labels at once."""
    pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

    with pytest.raises(Refused) as caught:
        tokens.make(Config("lab", "localhost"), pem, "controller", "Web 1", {"ü": "x"}, NOON)

    assert [problem.culprit for problem in caught.value.problems] == ["name", "role", "labels"]
