"""The fault that CONTRIBUTING.md adds is really added, to a copy of the project, and used."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "CONTRIBUTING.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def run(copy: Path, *command: str) -> str:
    paths = os.pathsep.join(str(copy / part) for part in ("agent", "controller", "protos", "."))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the guide's three files."""
    copy = tmp_path_factory.mktemp("copy")
    for part in ("agent", "controller", "protos", "tests", "pyproject.toml"):
        source = ROOT / part
        shutil.copytree(source, copy / part) if source.is_dir() else shutil.copy(source, copy)
    arm, message = blocks("proto")
    proto = copy / "protos/chaos_protocol/v1/faults.proto"
    text = proto.read_text().replace("  oneof kind {\n", f"  oneof kind {{\n{arm}", 1)
    proto.write_text(f"{text}\n{message}")
    fault, test = blocks("python")
    (copy / "agent/chaos_agent/faults/inodes.py").write_text(fault)
    (copy / "tests/agent/faults").mkdir(parents=True, exist_ok=True)
    (copy / "tests/agent/faults/test_inodes.py").write_text(test)
    protos = sorted(str(each.relative_to(copy)) for each in proto.parent.glob("*.proto"))
    run(copy, sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", "--python_out=protos", *protos)
    return copy


def test_its_own_test_passes(copy: Path) -> None:
    """The test that the guide shows passes as it stands there."""
    said = run(
        copy, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/agent/faults/test_inodes.py"
    )

    assert "1 passed" in said


def test_the_command_line_has_it_without_a_line_of_code(copy: Path) -> None:
    """Help, flags and units come from the message."""
    said = run(copy, sys.executable, "-m", "chaosctl", "inject", "inodes", "--help")

    assert "--path" in said and "--count" in said and "Use up inodes with empty files." in said


def test_it_keeps_what_is_asked_of_every_fault(copy: Path) -> None:
    """The checks over the catalogue take it in by themselves."""
    said = run(copy, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/agent/test_every_fault.py")

    assert "inodes" in run(copy, sys.executable, "-m", "chaosctl", "faults")
    assert "passed" in said
