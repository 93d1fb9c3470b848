"""The course of an experiment as its owner lives it: events in, orders out, without clock or socket."""

from typing import Any

import pytest
from chaosctl.exits import Exit
from chaosctl.following import (
    ABORT,
    RENEW,
    RUN,
    WATCH,
    Begin,
    Event,
    Finish,
    Following,
    Interrupted,
    Lost,
    Order,
    Reported,
    Say,
    Ticked,
    Updated,
)

CTRL_C = Interrupted("Ctrl-C")


def seen(state: str, *targets: str) -> Updated:
    """The controller tells of an experiment whose targets are in these states."""
    rows = [{"host": f"web{number}", "state": each} for number, each in enumerate(targets, 1)]
    return Updated({"id": "one", "state": state, "targets": rows, "left": "60s", "spec": {"lease": "15s"}})


def receipt(*states: str, settled: bool = False) -> Reported:
    """The account of an abort."""
    rows = [{"host": f"web{number}", "state": state} for number, state in enumerate(states, 1)]
    return Reported({"receipts": rows, "settled": settled})


class Play:
    """Alternates events and what they must lead to."""

    def __init__(self, following: Following) -> None:
        self.following = following
        self.said: list[str] = []
        self.now = 0.0

    def event(self, event: Event, *orders: Any, after_s: float = 0.0) -> "Play":
        """What an event leads to; `Finish` may be given by its status alone."""
        self.now += after_s
        given = [self._short(order) for order in self.following.take(event, self.now) if self._counts(order)]
        assert given == list(orders)
        return self

    def _counts(self, order: Order) -> bool:
        if isinstance(order, Say):
            self.said.append(order.text)
        return not isinstance(order, Say)

    def _short(self, order: Order) -> object:
        if isinstance(order, Finish):
            self.said.append(order.text)
            return order.code
        return order


@pytest.fixture
def play() -> Play:
    """An experiment of ours, about to be asked for."""
    following = Following(owner=True)
    assert following.begin() == [Begin(RUN)]
    return Play(following)


@pytest.fixture
def running(play: Play) -> Play:
    """It runs on two hosts."""
    return play.event(seen("running", "active", "active"), Begin(WATCH))


@pytest.fixture
def watching() -> Play:
    """Somebody else's experiment runs, and we look on."""
    following = Following(owner=False, experiment=seen("running", "active", "active").experiment)
    assert following.begin() == [Begin(WATCH)]
    return Play(following)


def test_a_run_to_its_end(running: Play) -> None:
    """Begun, watched, over, clean: done."""
    running.event(seen("ending", "clean", "active"))
    running.event(seen("completed", "clean", "clean"), Exit.DONE)

    assert running.said[-1] == "done; every host is clean (2 of 2 proved)"


def test_an_end_that_is_not_proved_names_the_hosts(running: Play) -> None:
    """A presumption is no proof."""
    running.event(seen("completed", "clean", "presumed-clean"), Exit.UNPROVED)

    assert "not proved clean: web2; each ends by itself within its lease (15s)" in running.said[-1]


def test_ctrl_c_aborts_and_waits_for_receipts(running: Play) -> None:
    """The end is when every host has proved it, not when the abort was sent."""
    running.event(CTRL_C, Begin(ABORT))
    running.event(receipt("clean", "ending"))
    running.event(receipt("clean", "clean", settled=True), Exit.ABORTED)

    assert running.said[-1] == "aborted; every host is clean (2 of 2 proved)"


def test_ctrl_c_twice_leaves_at_once_and_names_what_is_unproved(running: Play) -> None:
    """Status 6: somebody must look after web2."""
    running.event(CTRL_C, Begin(ABORT))
    running.event(receipt("clean", "ending"))
    running.event(CTRL_C, Exit.UNPROVED)

    assert "not proved clean: web2; an abort is under way" in running.said[-1]


def test_an_abort_whose_lease_ran_out_is_not_proved(running: Play) -> None:
    """Settled is not yet clean."""
    running.event(CTRL_C, Begin(ABORT))
    running.event(receipt("clean", "presumed-clean", settled=True), Exit.UNPROVED)


def test_the_experiment_may_prove_the_abort_first(running: Play) -> None:
    """Whichever stream tells first that every host is clean."""
    running.event(CTRL_C, Begin(ABORT))
    running.event(seen("aborted", "clean", "clean"), Exit.ABORTED)


def test_an_aborted_experiment_that_is_not_proved_waits_for_the_receipts(running: Play) -> None:
    """The abort goes on asking until a host's lease is over."""
    running.event(CTRL_C, Begin(ABORT))
    running.event(seen("aborted", "clean", "ending"))
    running.event(receipt("clean", "clean", settled=True), Exit.ABORTED)


def test_ctrl_c_before_the_answer_aborts_as_soon_as_there_is_one(play: Play) -> None:
    """What may have started is not left alone."""
    play.event(CTRL_C)
    play.event(seen("running", "active"), Begin(WATCH), Begin(ABORT))

    assert "aborting as soon as" in play.said[0]


def test_ctrl_c_twice_before_the_answer_says_that_it_is_not_known(play: Play) -> None:
    """The caller's lease ends it then."""
    play.event(CTRL_C)
    play.event(CTRL_C, Exit.UNPROVED)

    assert "not known whether it started" in play.said[-1]


def test_somebody_else_aborts(running: Play) -> None:
    """Status 5, without an abort of ours."""
    running.event(seen("aborted", "clean", "clean"), Exit.ABORTED)


def test_a_lost_answer_is_asked_for_again(play: Play) -> None:
    """With the same key, so it starts once."""
    play.event(Lost(RUN, "socket closed"), Begin(RUN, 1.0))
    play.event(seen("running", "active"), Begin(WATCH))

    assert play.said[-1] == "the controller answers again"


def test_a_broken_stream_is_opened_again(running: Play) -> None:
    """Said once, tried each second."""
    running.event(Lost(WATCH, "socket closed"), Begin(WATCH, 1.0))
    running.event(Lost(WATCH, "socket closed"), Begin(WATCH, 1.0), after_s=1.0)
    running.event(seen("running", "active", "active"), after_s=1.0)

    assert [text[:19] for text in running.said] == ["lost the controller", "the controller answ"]


def test_a_broken_abort_is_sent_again(running: Play) -> None:
    """The same abort, by its id."""
    running.event(CTRL_C, Begin(ABORT))
    running.event(Lost(ABORT, "socket closed"), Begin(ABORT, 1.0))


def test_a_renewal_that_fails_means_that_the_stream_is_dead(running: Play) -> None:
    """A stream over a dead path says nothing; the renewal finds out."""
    running.event(Ticked(), Begin(RENEW), after_s=10.0)
    running.event(Lost(RENEW, "did not answer in time"), Begin(WATCH, 1.0))


def test_the_caller_is_renewed_three_times_a_keepalive(running: Play) -> None:
    """Every 10 of 30 s."""
    running.event(Ticked(), after_s=9.0)
    running.event(Ticked(), Begin(RENEW), after_s=1.0)
    running.event(Ticked(), after_s=1.0)
    running.event(Ticked(), Begin(RENEW), after_s=9.0)


def test_a_controller_that_stays_away_is_not_waited_for_for_ever(running: Play) -> None:
    """Beyond the lease hosts are clean by themselves, but nobody can prove it to us."""
    running.event(Lost(WATCH, "socket closed"), Begin(WATCH, 1.0))
    running.event(Ticked(), after_s=44.0)
    running.event(Ticked(), Exit.UNPROVED, after_s=1.0)

    assert "not proved clean: web1, web2" in running.said[-1]


@pytest.mark.parametrize(
    ("state", "ends", "says"),
    [
        pytest.param("completed", ["duration", "no-effect"], "failed on web2", id="one-without-effect"),
        pytest.param("completed", ["refused", "refused"], "failed on web1, web2", id="all-refused"),
    ],
)
def test_hosts_that_failed_are_named(running: Play, state: str, ends: list[str], says: str) -> None:
    """Partly failed, all clean: status 4, and which."""
    update = seen(state, "clean", "clean")
    for row, ended in zip(update.experiment["targets"], ends, strict=True):
        row["ended"] = ended

    running.event(update, Exit.PARTLY)

    assert running.said[-1].startswith(says)


def test_looking_on_and_leaving(watching: Play) -> None:
    """Ctrl-C in `watch` ends nothing, and says so."""
    watching.event(CTRL_C, Exit.DONE)

    assert watching.said == ["stopped watching; experiment one goes on (`chaosctl abort one` ends it)"]


def test_looking_on_to_the_end(watching: Play) -> None:
    """`watch` ends as the experiment did."""
    watching.event(seen("completed", "clean", "presumed-clean"), Exit.UNPROVED)


def test_looking_on_without_a_controller(watching: Play) -> None:
    """It was not ours to prove: the controller can't be reached."""
    watching.event(Lost(WATCH, "socket closed"), Begin(WATCH, 1.0))
    watching.event(Ticked(), Exit.UNREACHABLE, after_s=45.0)


def test_warnings_of_an_abort_are_said(running: Play) -> None:
    """A store that can't be written is the operator's business."""
    running.event(CTRL_C, Begin(ABORT))
    running.event(Reported({"receipts": [], "warnings": ["the store is full"]}))

    assert running.said[-1] == "warning: the store is full"


def test_time_left_is_counted_on() -> None:
    """Between two words of the controller the clock goes on; it never goes below nothing."""
    following = Following(owner=True)
    following.take(seen("running", "active"), 100.0)

    assert (following.left_s(118.0), following.left_s(200.0)) == (42.0, 0.0)
