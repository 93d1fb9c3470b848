"""A command line against a fake controller: in this process, and as a process of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from chaosctl.__main__ import main
from chaosctl.session import Session
from chaosctl.terminal import Terminal

from tests.fakes.fake_controller import FakeController

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeController]:
    """A controller with web1, web2, web3 and db1."""
    with FakeController(tmp_path) as fake:
        yield fake


@pytest.fixture
def home(controller: FakeController) -> Path:
    """Operator ada is logged in."""
    return controller.login()


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """Nobody is logged in, and whoever asks a controller fails."""
    return tmp_path / "nowhere"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def call(home: Path, *words: str) -> Result:
        code = main(words, Session(home=home, terminal=Terminal({})))
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call


class Started:
    """chaosctl as a process."""

    def __init__(self, home: Path, *words: str) -> None:
        environment = {
            **os.environ,
            "CHAOSCTL_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("controller", "protos")),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaosctl", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._said: list[str] = []
        self._heard = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._heard:
                self._said.append(line)
                self._heard.notify_all()

    def wait_says(self, text: str) -> None:
        """Until a line on stderr has the text."""
        with self._heard:
            found = self._heard.wait_for(lambda: any(text in line for line in self._said), PATIENCE_S)
        assert found, f"{text!r} was not said: {''.join(self._said)}"

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it, come what may."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def close_streams(self) -> None:
        """Leave no file open behind a test."""
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def close_stdout(self) -> None:
        """Its reader goes away, as `head` does."""
        assert self._process.stdout is not None
        self._process.stdout.close()

    def wait_ended(self) -> Result:
        """Until it has ended by itself."""
        assert self._process.stdout is not None
        code = self._process.wait(PATIENCE_S)
        out = "" if self._process.stdout.closed else self._process.stdout.read()
        self._listener.join(PATIENCE_S)
        return Result(code, out, "".join(self._said))


Start = Callable[..., Started]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command as a process."""
    running: list[Started] = []

    def begin(home: Path, *words: str) -> Started:
        running.append(Started(home, *words))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.close_streams()
