"""Work that goes on to its end when whoever asked for it hangs up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(group: asyncio.TaskGroup, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, carried on in `group`: gRPC cancels a handler when its caller gives up.

    A start cancelled halfway would stay pending for ever, with a journal entry and a worker that nobody tells "go".
    """
    outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    group.create_task(_settle(work, outcome))
    return await asyncio.shield(outcome)


async def _settle(work: Coroutine[Any, Any, T], outcome: "asyncio.Future[T]") -> None:
    try:
        outcome.set_result(await work)
    except Exception as error:
        outcome.set_exception(error)
        outcome.exception()  # looked at: it is no surprise when nobody waits any more
