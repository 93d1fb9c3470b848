"""Carries out what `following` orders: a thread for each call that waits, one queue of events, signals as events."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Protocol

from chaos_protocol.problems import Problem

from chaosctl.client import Client
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
from chaosctl.live import Board, board
from chaosctl.stop import Stop, Unreachable

_TICK_S = 1.0
_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


class Screen(Protocol):
    """Where a person sees what happens."""

    def show(self, board: Board) -> None: ...
    def say(self, text: str) -> None: ...


class Follower:
    """Follows one experiment until it is over, or until there is nothing more to wait for."""

    def __init__(
        self,
        client: Client,
        following: Following,
        screen: Screen,
        run: Callable[[Client], Mapping[str, Any]] | None = None,
        abort_id: str = "",
    ) -> None:
        self._client = client
        self._following = following
        self._screen = screen
        self._run = run
        self._abort_id = abort_id
        self._events: SimpleQueue[Event | Stop] = SimpleQueue()
        self._attempts: dict[str, int] = {}

    def follow(self) -> Finish:
        """Until the end: the exit status, and what to say last."""
        with _caught(self._events):
            orders = self._following.begin()
            while (finish := self._carry_out(orders)) is None:
                orders = self._following.take(self._next(), time.monotonic())
            return finish

    def _next(self) -> Event:
        try:
            event = self._events.get(timeout=_TICK_S)
        except Empty:
            return Ticked()
        if isinstance(event, Stop):
            raise event
        return event

    def _carry_out(self, orders: list[Order]) -> Finish | None:
        finish = None
        for order in orders:
            match order:
                case Begin(activity, after_s):
                    self._begin(activity, after_s)
                case Say(text):
                    self._screen.say(text)
                case Finish():
                    finish = finish or order
        self._screen.show(board(self._following, time.monotonic()))
        return finish

    def _begin(self, activity: str, after_s: float) -> None:
        attempt = self._attempts[activity] = self._attempts.get(activity, 0) + 1
        thread = threading.Timer(after_s, self._work, (activity, attempt))
        thread.daemon = True
        thread.start()

    def _work(self, activity: str, attempt: int) -> None:
        """One attempt, on a connection of its own: a new one must not inherit what broke the last."""

        def post(event: Event | Stop) -> None:
            if self._attempts[activity] == attempt:
                self._events.put(event)

        try:
            with self._client.again() as client:
                for event in self._events_of(activity, client):
                    post(event)
                if activity in (WATCH, ABORT):
                    post(Lost(activity, "it ended the stream"))
        except Unreachable as lost:
            post(Lost(activity, lost.why))
        except Exception as error:
            if activity != RENEW:
                post(self._failed(activity, error))

    def _failed(self, activity: str, error: Exception) -> Event | Stop:
        """Nothing that goes wrong makes us forget what is ours: it is tried again while it may be out there."""
        stop = error if isinstance(error, Stop) else Stop(Exit.INTERNAL, [Problem(activity, "", f"failed: {error!r}")])
        return Lost(activity, str(stop)) if self._following.owner and self._following.identifier else stop

    def _events_of(self, activity: str, client: Client) -> Iterator[Event]:
        identifier = self._following.identifier
        if activity == RUN and self._run:
            yield Updated(self._run(client)["experiment"])
        elif activity == WATCH:
            yield from map(Updated, client.watch(identifier))
        elif activity == ABORT:
            yield from map(Reported, client.abort(identifier, reason="interrupted", abort_id=self._abort_id))
        elif self._following.owner:
            client.renew(identifier)
        else:
            yield Updated(client.show(identifier))


@contextmanager
def _caught(events: "SimpleQueue[Event | Stop]") -> Iterator[None]:
    """While following, signals are events; afterwards they mean again what they meant."""

    def note(number: int, _: FrameType | None) -> None:
        events.put(Interrupted(_SIGNALS[signal.Signals(number)]))

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
