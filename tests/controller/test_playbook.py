"""The course of an experiment: what happens on the left, what is asked for on the right."""

from dataclasses import replace

import pytest
from chaos_controller import playbook
from chaos_controller.events import (
    Accepted,
    Connected,
    Event,
    Found,
    Inject,
    Lost,
    Ordered,
    Passed,
    Refused,
    Renewed,
    Reported,
    Revert,
    Sending,
    Stop,
)
from chaos_controller.experiment import Experiment, Fault, Report, Request, Row
from chaos_controller.playbook import RETRY_NS, step
from chaos_controller.states import Ended, ExperimentState, InjectionState, Outcome, Reason
from chaos_controller.targets import Selection
from chaos_controller.timing import GUARD_AGE_NS, SECOND

NOW = 1_000 * SECOND
LEASE, DURATION = 15 * SECOND, 60 * SECOND
REQUEST = Request((Fault("latency", "d", "{}", b""),), Selection(), DURATION, LEASE)


def experiment(*hosts: str, **changes: object) -> Experiment:
    """A run that was just admitted; injections are named as their hosts."""
    begun = Experiment(
        id="e",
        by="operator ada",
        request=REQUEST,
        plan_hash="h",
        created_at=NOW,
        rows=tuple(Row(host, host) for host in hosts or ("a",)),
        state=ExperimentState.RUNNING,
        started_at=NOW,
        heard_at=NOW,
        due_at=NOW,
    )
    return replace(begun, **changes)  # type: ignore[arg-type]


class Play:
    """Feeds events to an experiment and remembers where it is."""

    def __init__(self, begun: Experiment) -> None:
        self.experiment = begun
        self.now = NOW

    def __call__(self, event: Event, after_s: float = 0) -> list[object]:
        """What is asked for."""
        self.now += int(after_s * SECOND)
        self.experiment, commands = step(self.experiment, event, self.now)
        return list(commands)

    @property
    def states(self) -> list[str]:
        return [row.state.name for row in self.experiment.rows]

    @property
    def state(self) -> str:
        return self.experiment.state.name


def active(host: str = "a") -> Reported:
    return Reported(Report(host, InjectionState.ACTIVE, active_at=NOW))


def reverted(host: str = "a", why: Ended = Ended.DURATION, outcome: Outcome = Outcome.REVERTED) -> Reported:
    return Reported(Report(host, InjectionState.REVERTED, why, outcome, active_at=NOW, inert_at=NOW, clean_at=NOW))


def running(*hosts: str, **changes: object) -> Play:
    """A play whose targets are all active."""
    play = Play(experiment(*hosts, **changes))
    for row in play.experiment.rows:
        play(Sending(row.injection_id, NOW))
        play(active(row.host))
    return play


def test_a_run_from_start_to_end() -> None:
    """Told, active, reverted by its duration: completed."""
    play = Play(experiment())

    assert playbook.first_commands(play.experiment) == (Inject("a"),)
    assert play(Sending("a", NOW)) == []
    assert (play.states, play.state) == (["TOLD"], "RUNNING")
    assert play(active()) == []
    assert (play.states, play.state) == (["ACTIVE"], "RUNNING")
    assert play(reverted()) == []
    assert (play.states, play.state) == (["CLEAN"], "COMPLETED")
    assert play.experiment.is_forgotten


def test_a_lost_answer_is_asked_again_with_the_same_id() -> None:
    """Until the window is over; then the host must prove what it is."""
    play = Play(experiment())
    play(Sending("a", NOW))

    assert play(Lost("a", "no answer")) == [Inject("a", RETRY_NS)]
    assert play(Lost("a", "no answer"), after_s=11) == [Revert("a")]
    assert play.states == ["ENDING"]
    assert play(Found("a", Outcome.NO_TRACE)) == []
    assert (play.states, play.state) == (["NEVER_STARTED"], "FAILED")


def test_what_was_never_sent_never_started() -> None:
    """No host need be asked about it."""
    play = Play(experiment())

    assert play(Lost("a", "it is offline"), after_s=11) == []
    assert play.states == ["NEVER_STARTED"]


def test_a_refusal_of_the_only_call_is_proof() -> None:
    """The agent said no, and nothing else was sent."""
    play = Play(experiment())
    play(Sending("a", NOW))

    assert play(Refused("a", Reason.LAW, "beyond agent.yaml")) == []
    assert (play.states, play.state) == (["NEVER_STARTED"], "FAILED")


def test_a_refusal_after_a_lost_answer_is_no_proof() -> None:
    """The call whose answer was lost may have got through."""
    play = Play(experiment())
    play(Sending("a", NOW))
    play(Lost("a", "no answer"))
    play(Sending("a", NOW))

    assert play(Refused("a", Reason.HOST, "no")) == [Revert("a")]
    assert play.states == ["ENDING"]


def test_a_stale_guard_is_no_refusal() -> None:
    """A new one is fetched and shown."""
    play = Play(experiment())
    play(Sending("a", NOW))

    assert play(Refused("a", Reason.STALE, "generation 2")) == [Inject("a", RETRY_NS)]
    assert play.states == ["TOLD"]


def test_abort_stops_what_was_sent_and_forgets_the_rest() -> None:
    """One call a host; what was never sent is proved by that."""
    play = Play(experiment("a", "b"))
    play(Sending("a", NOW))
    play(active())

    assert play(Ordered(Ended.OPERATOR, "aborted by ada")) == [Stop("a", ("a",))]
    assert (play.states, play.state) == (["ENDING", "NEVER_STARTED"], "ENDING")
    assert play(reverted(why=Ended.OPERATOR)) == []
    assert (play.states, play.state) == (["CLEAN", "NEVER_STARTED"], "ABORTED")
    assert play.experiment.ended is Ended.OPERATOR


def test_an_answer_after_the_abort_is_ended_too() -> None:
    """It lives though it should not: whatever we thought, the host is right."""
    play = Play(experiment())
    play(Sending("a", NOW))
    play(Ordered(Ended.OPERATOR, "aborted"))

    assert play(active()) == [Revert("a")]
    assert play.states == ["ENDING"]


def test_nothing_is_retried_after_the_abort() -> None:
    """An id whose end was ordered is never sent again."""
    play = Play(experiment())
    play(Sending("a", NOW))
    play(Ordered(Ended.OPERATOR, "aborted"))

    assert play(Lost("a", "no answer")) == [Revert("a")]
    assert play(Refused("a", Reason.STALE, "generation 2")) == [Revert("a")]


def test_one_target_fails_and_the_others_go_on() -> None:
    """It is reported; the experiment ends as failed."""
    play = running("a", "b")

    failed = Report("a", InjectionState.FAILED, Ended.NO_EFFECT, Outcome.REVERTED, "no packet was late")
    assert play(Reported(failed)) == []
    assert (play.states, play.state) == (["CLEAN", "ACTIVE"], "RUNNING")
    play(reverted("b"))
    assert play.state == "FAILED"
    assert play.experiment.note == "failed on a"


def test_a_lost_host_is_presumed_clean_when_its_lease_is_over() -> None:
    """Five seconds for the guard and the lease from there; asked on until it proves."""
    play = running()
    over_s = (GUARD_AGE_NS + LEASE) / SECOND

    assert play(Passed({}), after_s=over_s - 1) == []
    assert play.states == ["ACTIVE"]
    assert play(Passed({}), after_s=1) == [Revert("a")]
    assert (play.states, play.state) == (["PRESUMED_CLEAN"], "FAILED")
    assert play.experiment.ended is Ended.CONTROLLER_LOST
    assert not play.experiment.is_forgotten
    play(Found("a", Outcome.ALREADY_CLEAN))
    assert (play.states, play.experiment.is_forgotten) == (["CLEAN"], True)


def test_a_late_proof_mends_the_record() -> None:
    """What was presumed of a lost host gives way to what it says when it is back."""
    play = running()
    play(Passed({}), after_s=1000)
    assert (play.state, play.experiment.note) == ("FAILED", "failed on a; not proved clean: a")

    play(Reported(Report("a", InjectionState.REVERTED, Ended.DURATION, Outcome.REVERTED)))

    assert (play.states, play.state, play.experiment.note) == (["CLEAN"], "COMPLETED", "")
    assert play.experiment.ended is Ended.DURATION


def test_beats_move_the_lease_and_never_the_deadline() -> None:
    """Absolute moments, issued by the host."""
    play = running()

    assert play(Passed({"a": NOW + 50 * SECOND}), after_s=60) == []
    assert play(Passed({"a": NOW + 64 * SECOND}), after_s=5) == [Revert("a")]
    assert play.experiment.rows[0].ended is Ended.DURATION


def test_what_is_still_present_is_never_presumed_clean() -> None:
    """The host said so; a lease is no cleaner."""
    play = running()
    stuck = Report("a", InjectionState.FAILED, Ended.DURATION, Outcome.STILL_PRESENT, "qdisc on eth0")

    assert play(Reported(stuck)) == [Revert("a")]
    assert play(Passed({}), after_s=1000) == []
    assert (play.states, play.experiment.rows[0].stuck) == (["ENDING"], True)
    assert play.state == "FAILED"


def test_a_caller_that_is_lost_ends_its_run() -> None:
    """Renewed in time, it goes on; once not, it ends."""
    play = running(keepalive_ns=10 * SECOND)

    play(Renewed(), after_s=9)
    assert play(Passed({"a": NOW}), after_s=9) == []
    assert play(Passed({"a": NOW}), after_s=1) == [Stop("a", ("a",))]
    assert play.experiment.ended is Ended.CALLER_LOST


def test_a_waiting_run_starts_when_due() -> None:
    """Not a moment before."""
    play = Play(experiment(state=ExperimentState.WAITING, started_at=None, due_at=NOW + 10 * SECOND))

    assert playbook.first_commands(play.experiment) == ()
    assert playbook.next_wake(play.experiment, {}) == NOW + 10 * SECOND
    assert play(Passed({}), after_s=9) == []
    assert play(Passed({}), after_s=1) == [Inject("a")]
    assert play.state == "RUNNING"


def test_a_reconnected_host_is_asked_about_what_it_does_not_hold() -> None:
    """What lives goes on; what is gone without a word is asked for."""
    play = running("a", "b")

    assert play(Connected("a", frozenset({"a"})), after_s=20) == []
    assert play(Connected("b", frozenset())) == [Revert("b")]


def test_a_start_under_way_is_not_disturbed_by_a_reconnect() -> None:
    """Its own retry settles it."""
    play = Play(experiment())
    play(Sending("a", NOW))

    assert play(Connected("a", frozenset())) == []


def test_accepted_is_not_clean_but_gives_the_budget_back() -> None:
    """With the name of who took it on."""
    play = running()
    play(Passed({}), after_s=100)

    play(Accepted("a", "operator ada", "rebooted"))
    assert play.states == ["ACCEPTED"]
    assert play.experiment.is_forgotten
    assert play.experiment.rows[0].accepted_by == "operator ada"


def test_a_new_process_doubts_what_was_on_its_way() -> None:
    """Reserved may have been sent by the one that died: only the host can say."""
    play = Play(playbook.taken_up(experiment("a", "b"), NOW))

    assert play(active("a")) == []
    assert play(Connected("b", frozenset())) == [Revert("b")]
    play(Found("b", Outcome.NO_TRACE))
    assert play.states == ["ACTIVE", "NEVER_STARTED"]
    assert play(Ordered(Ended.OPERATOR, "aborted")) == [Stop("a", ("a",))]


def test_the_host_is_right_when_it_holds_what_we_thought_never_started() -> None:
    """The row is open again and undone."""
    play = Play(experiment("a", "b"))
    play(Sending("b", NOW))
    play(Lost("a", "offline"), after_s=11)
    assert play.states[0] == "NEVER_STARTED"

    assert play(active("a")) == [Revert("a")]
    assert play.states[0] == "ENDING"


@pytest.mark.parametrize("why", [Ended.OPERATOR, Ended.CALLER_LOST, Ended.GUARD])
def test_ends_that_were_ordered_are_aborts(why: Ended) -> None:
    """The cause is the first one, whatever hosts say later."""
    play = running()
    play(Ordered(why, "because"))
    play(reverted(why=Ended.OPERATOR))

    assert (play.state, play.experiment.ended) == ("ABORTED", why)
