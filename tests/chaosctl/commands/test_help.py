"""`help`: commands and topics."""

from pathlib import Path

import pytest
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param("exit-codes", "6  some host is not proved clean (outranks the rest)", id="exit-codes"),
        pytest.param("output", "keys as in protos/chaos_protocol/v1/controller.proto less their unit", id="output"),
        pytest.param("abort", "Usage: chaosctl abort", id="command"),
        pytest.param("hosts label", "Usage: chaosctl hosts label", id="inner-command"),
        pytest.param("inject latency", "--delay DURATION", id="fault"),
        pytest.param("", "Run faults:", id="nothing"),
    ],
)
def test_topics(nowhere: Path, run: Run, words: str, says: str) -> None:
    """Everything that can be asked about, without a controller."""
    result = run(nowhere, "help", *words.split())

    assert result.code == Exit.DONE
    assert says in result.out


def test_no_such_topic(nowhere: Path, run: Run) -> None:
    """With what was meant."""
    result = run(nowhere, "help", "stop")

    assert result.code == Exit.INPUT
    assert "did you mean abort?" in result.err
