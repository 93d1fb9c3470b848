"""Experiments in files."""

import io
import sys
from pathlib import Path

import pytest
from chaosctl.specfile import read_file
from chaosctl.stop import Stop

SPEC = {"faults": [{"latency": {"delay": "100ms"}}], "selection": {"hosts": ["web*"]}}
YAML = "faults:\n- latency: {delay: 100ms}\nselection: {hosts: ['web*']}\n"
JSON = '{"faults": [{"latency": {"delay": "100ms"}}], "selection": {"hosts": ["web*"]}}'


@pytest.mark.parametrize("text", [pytest.param(YAML, id="yaml"), pytest.param(JSON, id="json")])
def test_a_file_is_read(tmp_path: Path, text: str) -> None:
    """YAML and JSON alike."""
    (tmp_path / "spec").write_text(text)

    assert read_file(str(tmp_path / "spec")) == SPEC


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash is standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(YAML))

    assert read_file("-") == SPEC


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: [", "is no YAML or JSON", id="broken"),
        pytest.param("- a", "must have keys with values", id="a-list"),
        pytest.param("", "must have keys with values", id="empty"),
        pytest.param("duration: 1m\nduration: 2m", "line 1: 'duration' is given twice", id="a-key-twice"),
        pytest.param("a: !!python/object/apply:os.getcwd []", "is no YAML or JSON", id="python-object"),
        pytest.param("\x00", "is no YAML or JSON", id="binary"),
    ],
)
def test_what_is_no_experiment_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """With the file as the culprit."""
    (tmp_path / "spec").write_text(text)

    with pytest.raises(Stop) as refused:
        read_file(str(tmp_path / "spec"))

    assert says in str(refused.value)
    assert refused.value.problems[0].culprit == "--file"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(Stop, match="No such file"):
        read_file(str(tmp_path / "none"))
