"""The event loop's way to the store: one thread that writes, one that reads. Nothing that ends a fault waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class StoreThread:
    """One thread; calls are made in the order they were asked for."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def __call__(self, call: Callable[[], T]) -> T:
        """The result of `call`, made in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Wait for what is under way; drop what is not."""
        self._threads.shutdown(wait=True, cancel_futures=True)
