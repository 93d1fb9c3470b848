"""Following an experiment to its proved end: events in, orders out, no clock, no thread and no socket of its own.

run ──▶ watch ──▶ over, every host proved ───────────────▶ finish by the experiment
          │  ▲
connection lost: try again, at most as long as hosts' leases last and a little more
          │
Ctrl-C ──▶ abort ──▶ every receipt proved or its lease over ──▶ finish by the receipts
Ctrl-C again ──▶ finish at once, naming what is not proved
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaosctl import human
from chaosctl.exits import OVER, PROVED, Exit, exit_of_experiment, unproved

Document = Mapping[str, Any]
RUN, WATCH, ABORT, RENEW = "run", "watch", "abort", "renew"
KEEPALIVE_S = 30.0
_AGAIN_S = 1.0
_GRACE_S = 30.0
_LEASE = "15s"


@dataclass(frozen=True, slots=True)
class Updated:
    """The experiment as the controller knows it now."""

    experiment: Document


@dataclass(frozen=True, slots=True)
class Reported:
    """The account of our abort."""

    report: Document


@dataclass(frozen=True, slots=True)
class Lost:
    """An activity's connection ended without its answer."""

    activity: str
    why: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The user, or a closing terminal, wants to leave."""

    by: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """A second has passed."""


Event = Updated | Reported | Lost | Interrupted | Ticked


@dataclass(frozen=True, slots=True)
class Begin:
    """Start an activity, after a while; one of that name that still runs is given up."""

    activity: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""

    code: Exit
    text: str


Order = Begin | Say | Finish


class Following:
    """What is known of one experiment. `owner`: leaving ends it; otherwise leaving only stops looking."""

    def __init__(self, owner: bool, experiment: Document | None = None, now: float = 0.0) -> None:
        self.owner = owner
        self.experiment: Document = experiment or {}
        self.report: Document = {}
        self.aborting = False
        self.lost_since: float | None = None
        self.heard = now
        self._renewed = now
        self._interrupts = 0

    @property
    def identifier(self) -> str:
        """The experiment's id; empty until the controller gave one."""
        return str(self.experiment.get("id", ""))

    def begin(self) -> list[Order]:
        """What to do first."""
        return [Begin(WATCH)] if self.identifier else [Begin(RUN)]

    def left_s(self, now: float) -> float:
        """Seconds until the deadline, counted on from what was last heard."""
        return max(0.0, human.seconds_of(self.experiment.get("left", "")) - (now - self.heard))

    def unproved(self) -> list[str]:
        """Hosts that are not proved clean, by whatever proves more: the experiment's rows or the abort's receipts."""
        proved = {row.get("host") for row in self.report.get("receipts", []) if row.get("state") in PROVED}
        return [host for host in unproved(self.experiment.get("targets", [])) if host not in proved]

    def take(self, event: Event, now: float) -> list[Order]:
        """What to do about an event."""
        match event:
            case Updated(experiment):
                return self._updated(experiment, now)
            case Reported(report):
                return self._reported(report, now)
            case Lost(activity, why):
                return self._lost(activity, why, now)
            case Interrupted(by):
                return self._interrupted(by)
            case Ticked():
                return self._ticked(now)

    def _updated(self, experiment: Document, now: float) -> list[Order]:
        first = not self.identifier
        found = self.lost_since is not None
        self.experiment, self.heard, self.lost_since = experiment, now, None
        orders: list[Order] = [Say("the controller answers again")] if found else []
        if first:
            self._renewed = now
            orders += [Begin(WATCH), *self._abort()] if self._interrupts else [Begin(WATCH)]
        if experiment.get("state") in OVER and (not self.aborting or not self.unproved()):
            orders.append(Finish(exit_of_experiment(experiment), self._ending()))
        return orders

    def _reported(self, report: Document, now: float) -> list[Order]:
        self.report, self.lost_since = report, None
        orders: list[Order] = [Say(f"warning: {warning}") for warning in report.get("warnings", [])]
        if report.get("settled"):
            orders.append(Finish(Exit.UNPROVED if self.unproved() else Exit.ABORTED, self._ending()))
        return orders

    def _lost(self, activity: str, why: str, now: float) -> list[Order]:
        orders: list[Order] = []
        if self.lost_since is None:
            self.lost_since = now
            orders.append(Say(f"lost the controller ({why}); trying again, {self._meanwhile()}"))
        if finish := self._given_up(now):
            return [*orders, finish]
        return [*orders, Begin(WATCH if activity == RENEW else activity, _AGAIN_S)]

    def _meanwhile(self) -> str:
        if not self.identifier:
            return f"should it have started, it ends when this command is not heard of for {KEEPALIVE_S:.0f}s"
        return f"hosts end by themselves when they don't hear of it for {self._lease()}"

    def _lease(self) -> str:
        return str(self.experiment.get("spec", {}).get("lease", _LEASE))

    def _given_up(self, now: float) -> Finish | None:
        """Beyond the lease nothing can be active any more; what remains is that nobody can prove it to us."""
        if self.lost_since is None or now - self.lost_since < human.seconds_of(self._lease()) + _GRACE_S:
            return None
        code = Exit.UNPROVED if self.owner else Exit.UNREACHABLE
        return Finish(code, f"the controller did not come back; {self._left_behind()}")

    def _interrupted(self, by: str) -> list[Order]:
        self._interrupts += 1
        if not self.owner:
            text = f"stopped watching; experiment {human.short_id(self.identifier)} goes on"
            return [Finish(Exit.DONE, f"{text} (`chaosctl abort {human.short_id(self.identifier)}` ends it)")]
        if self._interrupts > 1:
            return [Finish(Exit.UNPROVED, f"left at once; {self._left_behind()}")]
        if not self.identifier:
            return [Say(f"{by}: aborting as soon as the controller says what has started; {by} again leaves at once")]
        return [*self._abort(), Say(f"{by}: aborting, waiting for every host's receipt; {by} again leaves at once")]

    def _abort(self) -> list[Order]:
        self.aborting = True
        return [Begin(ABORT)]

    def _ticked(self, now: float) -> list[Order]:
        if finish := self._given_up(now):
            return [finish]
        if self.identifier and self.lost_since is None and now - self._renewed >= KEEPALIVE_S / 3:
            self._renewed = now
            return [Begin(RENEW)]
        return []

    def _left_behind(self) -> str:
        if not self.identifier:
            soon = f"hosts are clean at the latest {KEEPALIVE_S:.0f}s and a lease ({self._lease()}) from now"
            return f"not known whether it started; if it did, {soon}"
        if hosts := self.unproved():
            alone = f"each ends by itself within its lease ({self._lease()})"
            end = "an abort is under way" if self.aborting else alone
            look = f"`chaosctl show {human.short_id(self.identifier)}` tells"
            return f"not proved clean: {', '.join(hosts)}; {end}; {look}"
        return "every host is proved clean"

    def _ending(self) -> str:
        if self.unproved():
            return self._left_behind()
        rows = self.experiment.get("targets", [])
        count = len({row.get("host") for row in rows})
        every = f"every host is clean ({count} of {count} proved)" if count else "no host was touched"
        if self.aborting or self.experiment.get("state") == "aborted":
            return f"aborted; {every}"
        failed = [row.get("host", "") for row in rows if row.get("ended", "duration") != "duration"]
        if failed:
            return f"failed on {', '.join(dict.fromkeys(failed))}; {every}"
        unproven = [row.get("host", "") for row in rows if row.get("unproven")]
        seen = f", but no effect could be seen on {', '.join(dict.fromkeys(unproven))}" if unproven else ""
        return f"done; {every}{seen}"
