"""What a person sees while a fault holds."""

import io
from typing import Any

import pytest
from chaosctl.following import WATCH, Following, Interrupted, Lost, Reported, Updated
from chaosctl.live import Board, Lines, LiveTable, board, fit, receipts_board, screen
from chaosctl.render import Sheet, plain
from chaosctl.terminal import Terminal

FAULT = {"latency": {"delay": "100ms"}}
SPEC = {"faults": [FAULT], "lease": "15s"}


def target(host: str, state: str = "active", **more: Any) -> dict[str, Any]:
    """A row of an experiment."""
    return {"host": host, "state": state, "fault": FAULT, "observed": {"delay_ns": 1e8}, **more}


def following(*targets: dict[str, Any]) -> Following:
    """An experiment of ours that was heard of at second 0, with a minute left."""
    one = Following(owner=True)
    one.take(Updated({"id": "one", "state": "running", "left": "60s", "spec": SPEC, "targets": list(targets)}), 0.0)
    return one


def test_a_running_experiment() -> None:
    """State, time left, asked beside seen, and what is to be noted of each host."""
    shown = board(following(target("web1"), target("web2", drift="qdisc is gone"), target("web3", "told")), 18.0)

    assert shown.heading == "one  ·  running, 42s left  ·  2 active, 1 told  ·  latency delay=100ms"
    assert shown.footing == "Ctrl-C aborts, and waits until every host is proved clean"
    assert plain([shown.sheet]) == (
        "HOST  STATE   LEFT  ASKED AND SEEN            NOTE\n"
        "web1  active  42s   delay 100ms, set 100.0ms\n"
        "web2  active  42s   delay 100ms, set 100.0ms  drift: qdisc is gone\n"
        "web3  told"
    )


def test_an_abort_shows_receipts() -> None:
    """What the abort says of a host is newer than what the experiment said."""
    one = following(target("web1"), target("web2"))
    one.take(Interrupted("Ctrl-C"), 1.0)
    one.take(Reported({"receipts": [{"host": "web1", "state": "clean", "says": "clean, inert after 4 ms"}]}), 1.0)

    shown = board(one, 1.0)

    assert "aborting" in shown.heading
    assert shown.footing == "Ctrl-C again leaves at once, without proof"
    assert shown.sheet.rows[0] == ["web1", "clean", "", "", "clean, inert after 4 ms"]


def test_a_lost_controller_is_in_the_heading() -> None:
    """With the time for which nothing was heard."""
    one = following(target("web1"))
    one.take(Lost(WATCH, "socket closed"), 2.0)

    assert "; no controller for 7s  ·  " in board(one, 9.0).heading


def test_before_the_first_answer() -> None:
    """There is something to see at once."""
    assert board(Following(owner=True), 0.0).heading == "asking the controller …"


def test_onlookers_are_told_that_leaving_is_harmless() -> None:
    """Ctrl-C has another meaning for them."""
    assert board(Following(owner=False), 0.0).footing == "Ctrl-C stops watching; the experiment goes on"


def test_a_fleet_larger_than_the_terminal() -> None:
    """Hosts with something to say stay in sight, the quiet ones are counted."""
    rows = [[f"web{number}", "active", "drift" if number == 99 else ""] for number in range(100)]

    fitted = fit(Board("", Sheet(("HOST", "STATE", "NOTE"), rows), "footing", {}), 10)

    assert [row[0] for row in fitted.sheet.rows] == ["web99", "web0", "web1", "web2", "web3"]
    assert fitted.footing == "… and 95 more hosts; footing"


def test_lines_say_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal: a line when a host's state changes, and no more."""
    lines = Lines(Terminal({}))

    with lines:
        lines.show(board(following(target("web1")), 0.0))
        lines.show(board(following(target("web1")), 1.0))
        lines.show(board(following(target("web1", "clean")), 2.0))

    said = [line.split("Z ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["experiment one: latency delay=100ms", "web1 active", "web1 clean"]


def test_lines_of_an_abort(capsys: pytest.CaptureFixture[str]) -> None:
    """Receipts as they come."""
    report = {"receipts": [{"host": "web1", "state": "clean", "says": "clean, inert after 4 ms"}]}

    Lines(Terminal({})).show(receipts_board(report))

    assert capsys.readouterr().err.endswith("Z web1 clean, inert after 4 ms\n")


def test_no_table_where_none_can_be_drawn() -> None:
    """Pipes and logs get lines."""
    assert isinstance(screen(Terminal({"TERM": "xterm"})), Lines)


def test_the_table_neutralises_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A host's name and a controller's words can't write on the terminal."""
    with LiveTable(color=False) as table:
        table.show(board(following(target("web\x1b[2J")), 0.0))
        table.say("\x1b]0;title\x07")

    assert "\x1b[2J" not in capsys.readouterr().err


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    """After a hang-up drawing fails; aborting must not."""
    table = LiveTable(color=False, file=Gone())

    with table:
        table.show(board(following(target("web1")), 0.0))
        table.say("aborting")


class Gone(io.StringIO):
    """A terminal after a hang-up."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")
