"""The command itself: help that is fast and leads on."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from chaosctl.commands import TABLE
from chaosctl.root import root

from tests.chaosctl.conftest import ROOT, Run

_HEAVY = ("grpc", "rich", "google.protobuf", "yaml", "cryptography")


def test_help_loads_nothing_heavy() -> None:
    """--help is there at once: no grpc, no rich, no protobuf, no YAML."""
    code = (
        "import sys; from chaosctl.__main__ import main; main(['--help']);"
        f"sys.exit(str([name for name in {_HEAVY!r} if name in sys.modules]))"
    )
    folders = ":".join(str(ROOT / folder) for folder in ("controller", "protos"))

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": folders}, check=False
    )

    assert ended.stderr.strip() == "[]"


def test_help_lists_every_command_by_its_job(nowhere: Path, run: Run) -> None:
    """Grouped, with exit codes and first steps."""
    out = run(nowhere, "--help").out

    assert [out.index(f"\n{heading}:") for heading in dict.fromkeys(row[0] for row in TABLE)]
    assert all(f"  {row[1]}" in out for row in TABLE)
    assert "6 not proved clean" in out


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[1])
def test_the_table_leads_to_commands(row: tuple[str, str, str, str]) -> None:
    """Each line names a command of that name that explains itself."""
    module, _, attribute = row[3].partition(":")

    command = vars(import_module(module))[attribute]

    assert isinstance(command, click.Command)
    assert command.name == row[1]
    assert command.help


def test_every_command_takes_the_common_flags() -> None:
    """-o and --controller work wherever they are written, in groups and below."""
    for path, command in walk(root, click.Context(root)):
        names = {name for parameter in command.get_params(click.Context(command)) for name in parameter.opts}
        assert {"-o", "--output", "--controller"} <= names, path


def test_every_flag_is_explained() -> None:
    """No option without help."""
    for path, command in walk(root, click.Context(root)):
        for parameter in command.get_params(click.Context(command)):
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.opts)


def test_the_version(nowhere: Path, run: Run) -> None:
    """With the program's name."""
    assert run(nowhere, "--version").out.startswith("chaosctl ")


def walk(command: click.Command, context: click.Context, path: str = "chaosctl") -> list[tuple[str, click.Command]]:
    """A command and all below it."""
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found += walk(inner, context, f"{path} {name}")
    return found
