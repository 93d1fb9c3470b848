"""Long-lived work under one task group: a failure is logged loudly and ends nothing but itself."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")


class Tasks:
    """Spawns into a group that outlives requests, so that an abort goes on when its caller is gone."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: set[asyncio.Task[None]] = set()
        self._ended = False

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run `work` beside everything else; nothing runs any more once all was cancelled."""
        if self._ended:
            work.close()
            return None
        task = self._group.create_task(_guarded(work, name), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # a task cancelled before it began leaves its work unstarted
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on to its end even when whoever waits for it is gone."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self.spawn(_settled(work, outcome), "shielded") is None:
            work.close()
            raise asyncio.CancelledError
        return await asyncio.shield(outcome)

    def cancel_all(self) -> None:
        """End everything, so that the group can end."""
        self._ended = True
        for task in self._running:
            task.cancel()


async def _settled(work: Coroutine[Any, Any, T], outcome: asyncio.Future[T]) -> None:
    try:
        outcome.set_result(await work)
    except Exception as error:
        outcome.set_exception(error)
        outcome.exception()  # looked at: it is no surprise when nobody waits any more
    finally:
        outcome.cancel()  # only if it has neither


async def _guarded(work: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await work
    except Exception:
        log.exception("task failed: %s", name)
