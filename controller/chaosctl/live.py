"""What a person sees while faults hold: a calm table redrawn in place, or lines where nothing can be redrawn."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chaosctl import human, views
from chaosctl.render import Sheet, table_of
from chaosctl.terminal import Terminal, safe

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chaosctl.following import Following

_COLUMNS = ("HOST", "STATE", "LEFT", "ASKED AND SEEN", "NOTE")


def live_sheet(following: Following, now: float) -> Sheet:
    """A line a host; receipts of an abort override what the experiment last said."""
    receipts = {row.get("host"): row for row in following.report.get("receipts", [])}
    left = human.coarse(following.left_s(now))
    rows = [_row(target, receipts.get(target.get("host")), left) for target in following.experiment.get("targets", [])]
    return Sheet(_COLUMNS, rows)


def _row(target: Mapping[str, Any], receipt: Mapping[str, Any] | None, left: str) -> list[str]:
    latest = {**target, **(receipt or {})}
    active = latest.get("state") == "active"
    note = receipt.get("says", "") if receipt else views.note_of(target)
    measured = "; ".join(views.measurements(target)[:3]) if active else ""
    return [target.get("host", ""), views.state_of(latest), left if active else "", measured, note]


def heading(following: Following, now: float) -> str:
    """The line above the table."""
    experiment = following.experiment
    if not experiment:
        return "asking the controller …"
    faults = "; ".join(map(human.fault_line, experiment.get("spec", {}).get("faults", [])))
    state = "aborting" if following.aborting else views.state_of(experiment)
    left = f", {human.coarse(following.left_s(now))} left" if experiment.get("left") and state == "running" else ""
    lost = f"; no controller for {human.coarse(now - following.lost_since)}" if following.lost_since is not None else ""
    return f"{faults}  ·  {human.short_id(following.identifier)}  ·  {state}{left}{lost}"


def footing(following: Following) -> str:
    """What Ctrl-C does now."""
    if not following.owner:
        return "Ctrl-C stops watching; the experiment goes on"
    if following.aborting:
        return "Ctrl-C again leaves at once, without proof"
    return "Ctrl-C aborts, and waits until every host is proved clean"


class LiveTable:
    """Redrawn in place on stderr, once a second and when something changes; gone when following ends."""

    def __init__(self, color: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, no_color=not color, highlight=False)
        self._console = console
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> LiveTable:
        self._guarded(self._live.start)
        return self

    def __exit__(self, *_: object) -> None:
        self._guarded(self._live.stop)

    def show(self, following: Following, now: float) -> None:
        """Draw."""
        self._guarded(lambda: self._live.update(_drawn(following, now), refresh=True))

    def say(self, text: str) -> None:
        """A line that stays, above the table."""
        self._guarded(lambda: self._console.print(safe(text), markup=False, soft_wrap=True))

    def _guarded(self, draw: Any) -> None:
        """A terminal that is gone must not keep us from aborting."""
        try:
            draw()
        except OSError:
            self._guarded_off()

    def _guarded_off(self) -> None:
        self._console.file = io.StringIO()


def _drawn(following: Following, now: float) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    title = Text(safe(heading(following, now)), style="bold")
    return Group(title, table_of(live_sheet(following, now)), Text(footing(following), style="dim"))


class Lines:
    """A line for each change of a host, where stderr is no terminal: logs, pipes, CI."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._said: dict[str, str] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, following: Following, now: float) -> None:
        """Say what changed."""
        if following.identifier and "" not in self._said:
            self._said[""] = following.identifier
            faults = "; ".join(map(human.fault_line, following.experiment.get("spec", {}).get("faults", [])))
            self.say(f"experiment {following.identifier}: {faults}")
        for host, state, _, measured, note in live_sheet(following, now).rows:
            line = f"{host} {state}" + (f", {note}" if note else "")
            if self._said.get(host) != line:
                self._said[host] = line
                self.say(f"{line}{f' ({measured})' if measured else ''}")

    def say(self, text: str) -> None:
        """A line with the time."""
        self._terminal.note(f"{datetime.now(UTC):%H:%M:%SZ} {safe(text)}")


def screen(terminal: Terminal) -> LiveTable | Lines:
    """The table where it can be drawn, else lines."""
    return LiveTable(terminal.color_on_notes) if terminal.is_live else Lines(terminal)
