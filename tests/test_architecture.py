"""The walls of the house: who may know whom, and who may touch what."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_protocol import refusals
from chaos_protocol.v1 import agent_pb2

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "chaos_agent": ROOT / "agent/chaos_agent",
    "chaos_controller": ROOT / "controller/chaos_controller",
    "chaosctl": ROOT / "controller/chaosctl",
    "chaos_protocol": ROOT / "protos/chaos_protocol",
}
MODULES = [
    pytest.param(package, path, id=f"{package}/{path.relative_to(folder)}")
    for package, folder in PACKAGES.items()
    for path in sorted(folder.rglob("*.py"))
    if not path.stem.endswith(("_pb2", "_pb2_grpc"))
]
WIRE = {
    "chaos_agent": {"service.py", "session.py", "translate.py", "daemon.py", "local.py", "config.py", "law.py"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("package", "path"), MODULES)
def test_the_parts_share_the_protocol_and_nothing_else(package: str, path: Path) -> None:
    """Agent, controller and command line never import each other."""
    others = set(PACKAGES) - {package, "chaos_protocol"}

    assert not {name for name in imports(path) if name.partition(".")[0] in others}


@pytest.mark.parametrize(("package", "path"), [each for each in MODULES if each.values[0] == "chaos_agent"])
def test_only_host_touches_linux(package: str, path: Path) -> None:
    """Processes, sockets of the kernel and system calls are in `host/`."""
    touching = {"subprocess", "ctypes", "fcntl"}

    found = touching & {name.partition(".")[0] for name in imports(path)}

    assert not found or path.parent.name == "host"


@pytest.mark.parametrize(("package", "path"), [each for each in MODULES if each.values[0] in WIRE])
def test_only_the_edge_knows_the_wire(package: str, path: Path) -> None:
    """Inside, frozen dataclasses; messages and grpc at the edge alone."""
    wire = {name for name in imports(path) if name.startswith(("grpc", "google.")) or "_pb2" in name}

    assert not wire or path.name in WIRE[package]


@pytest.mark.parametrize(("package", "path"), [each for each in MODULES if "chaos_agent/faults/" in str(each.id)])
def test_a_fault_needs_nothing_heavy(package: str, path: Path) -> None:
    """A worker starts in tens of milliseconds and undoes on a host out of memory."""
    heavy = {"grpc", "google", "psutil", "yaml", "cryptography", "asyncio", "click"}

    assert not heavy & {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("reason", [each for each in agent_pb2.Refused.values() if each])
def test_every_refusal_has_a_status(reason: int) -> None:
    """The table at the edge is whole."""
    assert agent_pb2.Refused.ValueType(reason) in refusals.STATUS


@pytest.mark.parametrize(("package", "path"), MODULES)
def test_files_and_functions_stay_small(package: str, path: Path) -> None:
    """No file over 400 lines, no function over 60: what is longer is two things."""
    text = path.read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert text.count("\n") <= 400
    assert [each.name for each in functions if (each.end_lineno or 0) - each.lineno > 60] == []


@pytest.mark.parametrize(("package", "path"), MODULES)
def test_every_module_says_what_it_is(package: str, path: Path) -> None:
    """A docstring tells a neighbour what the module is to it."""
    assert ast.get_docstring(ast.parse(path.read_text()))
