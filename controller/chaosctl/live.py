"""What a person sees while faults hold: a calm table redrawn in place, or lines where nothing can be redrawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from chaosctl import human, views
from chaosctl.render import Sheet, table_of
from chaosctl.terminal import Terminal, safe

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chaosctl.following import Following


@dataclass(frozen=True)
class Board:
    """What is to be seen now. `lines` say the same a row each, for those who see only changes."""

    heading: str
    sheet: Sheet
    footing: str
    lines: Mapping[str, str]


def board(following: Following, now: float) -> Board:
    """An experiment, a row a host; receipts of an abort override what the experiment last said."""
    receipts = {row.get("host"): row for row in following.report.get("receipts", [])}
    left = human.coarse(following.left_s(now))
    rows = [_row(target, receipts.get(target.get("host")), left) for target in following.experiment.get("targets", [])]
    lines = {"": _title(following)} if following.identifier else {}
    lines |= {host: _line(host, state, note) for host, state, _, _, note in rows}
    sheet = Sheet(("HOST", "STATE", "LEFT", "ASKED AND SEEN", "NOTE"), rows)
    return Board(heading(following, now), sheet, footing(following), lines)


def receipts_board(report: Mapping[str, Any]) -> Board:
    """An abort, a row a host."""
    rows = [[row.get("host", ""), views.state_of(row), row.get("says", "")] for row in report.get("receipts", [])]
    lines = {row[0]: _line(*row) for row in rows}
    footing = "the abort stands, whatever becomes of this command; Ctrl-C leaves without waiting for proof"
    return Board("aborting", Sheet(("HOST", "STATE", "RECEIPT"), rows), footing, lines)


def fit(board: Board, height: int) -> Board:
    """No taller than the terminal: rows with something to say stay, the quiet ones are counted."""
    rows, room = board.sheet.rows, max(1, height - 5)
    if len(rows) <= room:
        return board
    kept = sorted(rows, key=lambda row: not row[-1])[:room]
    more = f"… and {len(rows) - room} more hosts; {board.footing}"
    return replace(board, sheet=Sheet(board.sheet.columns, kept), footing=more)


def _counted(following: Following) -> str:
    states = Counter(views.state_of(target) for target in following.experiment.get("targets", []))
    return ", ".join(f"{count} {state}" for state, count in states.items())


def _line(host: str, state: str, note: str) -> str:
    if note.startswith(state):
        return f"{host} {note}"
    return f"{host} {state}{f', {note}' if note else ''}"


def _row(target: Mapping[str, Any], receipt: Mapping[str, Any] | None, left: str) -> list[str]:
    latest = {**target, **(receipt or {})}
    active = latest.get("state") == "active"
    note = receipt.get("says", "") if receipt else views.note_of(target)
    measured = "; ".join(views.measurements(target)[:3]) if active else ""
    return [target.get("host", ""), views.state_of(latest), left if active else "", measured, note]


def _title(following: Following) -> str:
    faults = "; ".join(map(human.fault_line, following.experiment.get("spec", {}).get("faults", [])))
    return f"experiment {following.identifier}: {faults}"


def heading(following: Following, now: float) -> str:
    """The line above the table."""
    experiment = following.experiment
    if not experiment:
        return "asking the controller …"
    faults = "; ".join(map(human.fault_line, experiment.get("spec", {}).get("faults", [])))
    state = "aborting" if following.aborting else views.state_of(experiment)
    left = f", {human.coarse(following.left_s(now))} left" if experiment.get("left") and state == "running" else ""
    count = f"  ·  {counted}" if (counted := _counted(following)) else ""
    lost = f"; no controller for {human.coarse(now - following.lost_since)}" if following.lost_since is not None else ""
    return f"{human.short_id(following.identifier)}  ·  {state}{left}{count}{lost}  ·  {faults}"


def footing(following: Following) -> str:
    """What Ctrl-C does now."""
    if not following.owner:
        return "Ctrl-C stops watching; the experiment goes on"
    if following.aborting:
        return "Ctrl-C again leaves at once, without proof"
    return "Ctrl-C aborts, and waits until every host is proved clean"


class LiveTable:
    """Redrawn in place on stderr, once a second and when something changes; gone when following ends."""

    def __init__(self, color: bool, file: IO[str] | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=file, stderr=True, no_color=not color, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._gone = False

    def __enter__(self) -> LiveTable:
        self._guarded(self._live.start)
        return self

    def __exit__(self, *_: object) -> None:
        self._guarded(self._live.stop)

    def show(self, board: Board) -> None:
        """Draw."""
        fitting = fit(board, self._console.height)
        self._guarded(lambda: self._live.update(_drawn(fitting), refresh=True))

    def say(self, text: str) -> None:
        """A line that stays, above the table."""
        self._guarded(lambda: self._console.print(safe(text), markup=False, soft_wrap=True))

    def _guarded(self, draw: Callable[[], object]) -> None:
        """A terminal that is gone must not keep us from aborting."""
        if self._gone:
            return
        try:
            draw()
        except OSError:
            self._gone = True


def _drawn(board: Board) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    # A line that folds is one that the next drawing does not wipe away.
    heading = Text(safe(board.heading), style="bold", no_wrap=True, overflow="ellipsis")
    return Group(heading, table_of(board.sheet), Text(board.footing, style="dim", no_wrap=True, overflow="ellipsis"))


class Lines:
    """A line for each change of a host, where stderr is no terminal: logs, pipes, CI."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._said: dict[str, str] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, board: Board) -> None:
        """Say what changed."""
        for host, line in board.lines.items():
            if self._said.get(host) != line:
                self._said[host] = line
                self.say(line)

    def say(self, text: str) -> None:
        """A line with the time."""
        self._terminal.note(f"{datetime.now(UTC):%H:%M:%SZ} {safe(text)}")


def screen(terminal: Terminal) -> LiveTable | Lines:
    """The table where it can be drawn, else lines."""
    return LiveTable(terminal.color_on_notes) if terminal.is_live else Lines(terminal)
