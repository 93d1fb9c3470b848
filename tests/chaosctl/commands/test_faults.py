"""`faults`: the catalogue, for everybody."""

import json
from pathlib import Path

import yaml
from chaos_protocol import catalogue
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run


def test_every_kind_is_listed(nowhere: Path, run: Run) -> None:
    """Without a controller and without a login."""
    out = run(nowhere, "faults").out

    assert [line.split()[0] for line in out.splitlines()[1:]] == list(catalogue.kinds())


def test_one_kind_has_every_flag(nowhere: Path, run: Run) -> None:
    """With limits, needs, measures and an example."""
    out = run(nowhere, "faults", "latency").out

    assert all(f"\n{parameter.flag}" in out for parameter in catalogue.kinds()["latency"].parameters)
    assert "needs on the host: sch_netem" in out
    assert "delay_ns" in out


def test_for_programs(nowhere: Path, run: Run) -> None:
    """JSON and YAML say the same."""
    as_json = json.loads(run(nowhere, "faults", "latency", "-o", "json").out)

    assert as_json == yaml.safe_load(run(nowhere, "faults", "latency", "-o", "yaml").out)
    assert as_json["parameters"][0]["flag"] == "--delay"
    assert as_json["parameters"][0]["max"] == "60s"


def test_no_such_kind(nowhere: Path, run: Run) -> None:
    """With what was meant."""
    result = run(nowhere, "faults", "latenzy")

    assert result.code == Exit.INPUT
    assert "did you mean latency?" in result.err
