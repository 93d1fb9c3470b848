"""What decides whether anything may start."""

import pytest
from chaos_agent.standing import OLDEST_TICK_NS, Guard, Order, Standing, objections_to_start

NOW = 100 * 10**9
STANDING = Standing(generation=4, term=2, retired_terms=frozenset({1}))


def culprits(standing: Standing, guard: Guard, ended: set[str] | None = None) -> list[str]:
    found = objections_to_start(standing, "lab", guard, now=NOW, ended_ids=ended or set(), injection_id="one")
    return [objection.culprit for objection in found]


@pytest.mark.parametrize(
    ("guard", "objections"),
    [
        # fleet, term, generation, tick; what is objected to
        pytest.param(Guard("lab", 2, 4, NOW), [], id="as it stands"),
        pytest.param(Guard("lab", 2, 4, NOW - OLDEST_TICK_NS), [], id="just in time"),
        pytest.param(Guard("lab", 2, 4, NOW - OLDEST_TICK_NS - 1), ["tick"], id="frozen on its way"),
        pytest.param(Guard("lab", 2, 4, NOW + 1), ["tick"], id="from the future"),
        pytest.param(Guard("lab", 2, 3, NOW), ["generation"], id="from before an abort"),
        pytest.param(Guard("lab", 1, 4, NOW), ["term"], id="of a superseded controller"),
        pytest.param(Guard("lab", 3, 4, NOW), ["term"], id="of a controller not heard of"),
        pytest.param(Guard("prod", 2, 4, NOW), ["fleet"], id="of another fleet"),
    ],
)
def test_a_start_must_be_decided_on_what_holds_now(guard: Guard, objections: list[str]) -> None:
    """Everything in a guard was issued by the agent, and must still be so."""
    assert objections == culprits(STANDING, guard)


def test_an_ended_id_never_starts_again() -> None:
    """A tombstone stops what is still on its way."""
    assert culprits(STANDING, Guard("lab", 2, 4, NOW), {"one"}) == ["injection"]


def test_aborts_and_lifts_may_come_in_any_order() -> None:
    """Sets merged by union: a lift before its abort holds, and neither counts twice."""
    forward = STANDING.aborted([Order("a")]).aborted([Order("b")]).lift(["a"])
    backward = STANDING.lift(["a"]).aborted([Order("b"), Order("a")]).aborted([Order("b")])

    assert [order.id for order in forward.up] == [order.id for order in backward.up] == ["b"]


def test_an_abort_heard_twice_is_one_generation() -> None:
    """Repetition changes nothing, so that a retry does not spoil a start made after the lift."""
    once = STANDING.aborted([Order("a")])

    assert once == once.aborted([Order("a")]) == once.aborted([Order("a", "other words")])


def test_survives_the_disk() -> None:
    """What was written is what is read."""
    standing = STANDING.aborted([Order("a", "why", "ann", host_only=True)]).lift(["z"]).revoke(["ff"])

    assert standing == Standing.from_json(standing.as_json())
