"""The controller's own walls: a pure core, and messages at the edge alone."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "controller/chaos_controller"
MODULES = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*.py"))}
EDGE = {
    "client.py",
    "daemon.py",
    "enrolment.py",
    "service.py",
    "session.py",
    "show.py",
    "tokens.py",
    "units.py",
    "wire.py",
}
PURE = ("blast_radius", "events", "experiment", "labels", "objections", "plan", "playbook", "receipts", "targets")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", MODULES.keys() - EDGE)
def test_only_the_edge_knows_the_wire(name: str) -> None:
    """Inside, frozen dataclasses."""
    wire = {each for each in imports(MODULES[name]) if each.startswith(("grpc", "google.")) or "_pb2" in each}

    assert not wire


@pytest.mark.parametrize("name", PURE)
def test_the_core_does_nothing_by_itself(name: str) -> None:
    """No clock, no chance, no I/O: all of it is passed in."""
    doing = {"asyncio", "time", "random", "secrets", "sqlalchemy", "threading", "os", "logging"}

    assert not doing & {each.partition(".")[0] for each in imports(MODULES[f"{name}.py"])}


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("store/")])
def test_only_the_store_knows_the_database(name: str) -> None:
    """SQLAlchemy stays behind its wall."""
    assert not {each for each in imports(MODULES[name]) if each.startswith("sqlalchemy")}


def test_starting_does_not_load_what_only_the_ca_needs() -> None:
    """`cryptography` takes a second on a slow machine."""
    look = "import sys, chaos_controller.daemon; sys.exit('cryptography' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
