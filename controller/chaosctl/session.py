"""What every command is given: where the caller's files are, how to print, and the client when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaosctl import settings
from chaosctl.terminal import Terminal

if TYPE_CHECKING:
    from chaosctl.client import Client

FORMATS = ("table", "json", "yaml")


@dataclass
class Session:
    """One invocation. Options of the group and of the command both land here; the command's win."""

    home: Path = field(default_factory=settings.home_of)
    output: str = "table"
    controller: str = ""
    terminal: Terminal = field(default_factory=Terminal)
    _client: Client | None = None

    @property
    def client(self) -> Client:
        """The client, made when a command first needs the controller."""
        if self._client is None:
            from chaosctl.client import Client

            known = settings.load(self.home, self.controller)
            self._client = Client.connect(known.home, known.controller)
        return self._client

    def close(self) -> None:
        """Let the connection go."""
        if self._client is not None:
            self._client.close()


def of(context: click.Context) -> Session:
    """The session of this invocation."""
    session = context.find_object(Session)
    assert session is not None
    return session
