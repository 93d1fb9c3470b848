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

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` beside everything else."""
        task = self._group.create_task(_guarded(work, name), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on to its end even when whoever waits for it is gone."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.spawn(_settled(work, outcome), "shielded")
        return await asyncio.shield(outcome)

    def cancel_all(self) -> None:
        """End everything, so that the group can end."""
        for task in self._running:
            task.cancel()


async def _settled(work: Coroutine[Any, Any, T], outcome: asyncio.Future[T]) -> None:
    try:
        outcome.set_result(await work)
    except Exception as error:
        outcome.set_exception(error)
        outcome.exception()  # looked at: it is no surprise when nobody waits any more


async def _guarded(work: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await work
    except Exception:
        log.exception("task failed: %s", name)
