"""An agent's core with real worker processes, on a folder of its own."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chaos_agent import faults
from chaos_agent.admission import Start
from chaos_agent.contract import Settings
from chaos_agent.host import clock
from chaos_agent.host.workers import WorkerProcess
from chaos_agent.injector import Injector
from chaos_agent.law import Law
from chaos_agent.ledger import Ledger
from chaos_agent.records import Record
from chaos_agent.standing import Guard

FAKES = Path(__file__).parent.parent / "fakes"
SECOND = 10**9


@dataclass
class Agent:
    """An injector with what a test needs to speak to it."""

    folder: Path
    injector: Injector
    workers: list[int] = field(default_factory=list)

    @property
    def mark(self) -> Path:
        return self.folder / "mark"

    def order(self, injection_id: str = "one", **changes: Any) -> Start:
        """A start that is allowed now, but for what is changed."""
        standing = self.injector.standing
        guard = Guard("lab", standing.term, standing.generation, clock.tick_ns())
        parameters = {"path": str(self.mark)} | changes.pop("parameters", {})
        order = {
            "id": injection_id,
            "digest": "d",
            "kind": "marker",
            "fault": {},
            "parameters": parameters,
            "duration_ns": 60 * SECOND,
            "lease_ns": 30 * SECOND,
            "guard": guard,
        }
        return Start(**(order | changes))

    async def until(self, condition: Callable[[Record], bool]) -> Record:
        """Wait for a change of any record that meets the condition."""
        found: asyncio.Future[Record] = asyncio.get_running_loop().create_future()

        def look(record: Record) -> None:
            if condition(record) and not found.done():
                found.set_result(record)

        unlisten = self.injector.listen(look)
        for record in [*self.injector.live, *self.injector.ended]:
            look(record)
        try:
            return await asyncio.wait_for(found, 20)
        finally:
            unlisten()


@pytest.fixture
def marker_fault() -> Iterator[None]:
    """The agent of this process knows the faults of the tests."""
    faults.__path__.append(str(FAKES / "faults"))
    yield
    faults.__path__.remove(str(FAKES / "faults"))


FullDisk = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def full_disk() -> FullDisk:
    """While the block lasts, this process can write into no file, as if every disk were full."""

    @contextmanager
    def full() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)

    return full


Running = Callable[..., AbstractAsyncContextManager[Agent]]


@pytest.fixture
def agent_running(tmp_path: Path, marker_fault: None) -> Running:
    """Start an agent on the test's folder; leaving the block stops it as SIGTERM does."""

    @asynccontextmanager
    async def run(law: Law | None = None) -> AsyncIterator[Agent]:
        workers: list[int] = []

        async def spawn(folder: Path, injection_id: str) -> WorkerProcess:
            program = (str(FAKES / "worker.py"),)
            process = await partial(WorkerProcess.start, program=program)(folder, injection_id)
            workers.append(process.pid)
            return process

        injector = Injector(Ledger(tmp_path / "state"), "lab", law or Law(), Settings(), spawn)
        await injector.recover()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(injector.run())
            await asyncio.sleep(0)
            try:
                yield Agent(tmp_path, injector, workers)
            finally:
                injector.stop()
            await running

    return run
