"""`fence`: what keeps new faults out."""

from pathlib import Path

import pytest
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController


@pytest.fixture
def raised(controller: FakeController) -> FakeController:
    """Two aborts are up."""

    def put() -> None:
        controller.fence.up = True
        controller.fence.orders.add(abort_id="aaaa-1", by="operator ada", reason="wrong hosts")
        controller.fence.orders.add(abort_id="bbbb-2", by="viewer vic", reason="smoke")

    controller.change(put)
    return controller


def test_down(home: Path, run: Run) -> None:
    """Nothing stands in the way."""
    assert run(home, "fence").out == "the fence is down: experiments may start\n"


def test_up(raised: FakeController, home: Path, run: Run) -> None:
    """By whom, and why; with and without `show`."""
    out = run(home, "fence", "show").out

    assert "aaaa-1  operator ada  wrong hosts" in out
    assert out == run(home, "fence").out


def test_lift_one(raised: FakeController, home: Path, run: Run) -> None:
    """By the beginning of its id; the other stays up."""
    result = run(home, "fence", "lift", "aa")

    assert "the fence is up" in result.out
    assert [order.abort_id for order in raised.fence.orders] == ["bbbb-2"]


def test_lift_all(raised: FakeController, home: Path, run: Run) -> None:
    """Whatever is up now."""
    assert "the fence is down" in run(home, "fence", "lift").out


def test_lift_what_is_not_up(raised: FakeController, home: Path, run: Run) -> None:
    """Names those that are, and lifts none."""
    result = run(home, "fence", "lift", "aa", "cc")

    assert result.code == Exit.INPUT
    assert "must be the beginning of one abort that is up: aaaa-1, bbbb-2" in result.err
    assert len(raised.fence.orders) == 2
