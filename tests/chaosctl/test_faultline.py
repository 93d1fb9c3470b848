"""`inject` and `plan`: a fault, a file or a plan; flags before and behind the fault."""

import json
from pathlib import Path
from typing import Any

import pytest
from chaosctl.exits import Exit

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController

SPEC = "faults: [{latency: {delay: 100ms}}]\nselection: {hosts: ['web*'], count: 2}\nduration: 1m\n"


def planned(run: Run, home: Path, *words: str) -> Any:
    """The experiment that the words describe, as the controller understood it."""
    result = run(home, "plan", *words, "-o", "json")
    assert result.code == Exit.DONE, result.err
    return json.loads(result.out)["spec"]


def test_flags_may_stand_before_the_fault(home: Path, run: Run) -> None:
    """Where and when on either side; what stands behind counts."""
    spec = planned(run, home, *["--hosts", "db1", "--duration", "2m", "latency", "--delay", "1s", "--hosts", "web1"])

    assert (spec["selection"]["hosts"], spec["duration"]) == (["web1"], "2m")


def test_every_kind_of_flag(home: Path, run: Run) -> None:
    """Lists by commas, yes and no, ranges, words of an enum."""
    line = "latency --delay 1.5s --to-port 80,6000-6100 --fragments --protocol tcp --hosts web1"

    (fault,) = planned(run, home, *line.split())["faults"]

    assert fault["latency"]["delay"] == "1.5s"
    assert fault["latency"]["to_port"] == ["80", "6000-6100"]
    assert fault["latency"]["fragments"] is True
    assert fault["latency"]["protocol"] == ["tcp"]


def test_a_file(home: Path, tmp_path: Path, run: Run) -> None:
    """In the shape of an experiment; flags win over it, and leave alone what they do not say."""
    (tmp_path / "spec.yaml").write_text(SPEC)

    spec = planned(run, home, "--file", str(tmp_path / "spec.yaml"), "--duration", "5m", "--hosts", "web1")

    assert (spec["duration"], spec["selection"]["hosts"], spec["selection"]["count"]) == ("5m", ["web1"], 2)


def test_problems_of_a_file_have_its_places(nowhere: Path, tmp_path: Path, run: Run) -> None:
    """What stands in a file is found by its path there."""
    (tmp_path / "spec.yaml").write_text("faults: [{latency: {delay: 100}}]\nselection: {hosts: [a]}\nextra: 1\n")

    result = run(nowhere, "inject", "--file", str(tmp_path / "spec.yaml"))

    assert result.code == Exit.INPUT
    assert "faults[0].latency.delay 100" in result.err
    assert "extra" in result.err


def test_a_plan_is_run_by_its_hash(controller: FakeController, home: Path, run: Run) -> None:
    """`plan` prints it, `inject --plan` takes it."""
    plan = json.loads(run(home, *["plan", "latency", "--hosts", "web1", "--delay", "1s", "-o", "json"]).out)

    result = run(home, "inject", "--plan", plan["hash"], "--detach", "-o", "json")

    assert result.code == Exit.DONE
    assert json.loads(result.out)["plan_hash"] == plan["hash"]


def test_a_dry_run_is_the_plan(controller: FakeController, home: Path, run: Run) -> None:
    """The same computation, and nothing runs."""
    words = ("latency", "--hosts", "web1", "--delay", "1s", "-o", "json")

    dry, plan = json.loads(run(home, "inject", *words, "--dry-run").out), json.loads(run(home, "plan", *words).out)

    assert dry["hash"] == plan["hash"]
    assert controller.count("Run") == 0


def test_a_plan_that_would_be_refused(home: Path, run: Run) -> None:
    """Is shown, with the status of the refusal."""
    result = run(home, *["plan", "latency", "--hosts", "nope*", "--delay", "1s"])

    assert result.code == Exit.INPUT
    assert "it would be refused now" in result.out


@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        pytest.param("inject --plan x --file y", "--plan  goes not together with --file", id="plan-and-file"),
        pytest.param("inject --plan x --hosts web1", "--hosts  is fixed by the plan", id="plan-and-hosts"),
        pytest.param("inject --plan x --dry-run", "--dry-run  is fixed by the plan", id="plan-and-dry-run"),
        pytest.param("inject --plan x latency", "latency", id="plan-and-fault"),
        pytest.param(
            "inject latency --delay 1s --hosts a --detach --dry-run",
            "--detach  goes not together",
            id="detach-and-dry-run",
        ),
    ],
)
def test_what_does_not_go_together(nowhere: Path, tmp_path: Path, run: Run, words: str, culprit: str) -> None:
    """Is refused before anybody is asked."""
    (tmp_path / "spec.yaml").write_text(SPEC)

    result = run(nowhere, *words.replace(" y", f" {tmp_path / 'spec.yaml'}").split())

    assert result.code == Exit.INPUT
    assert culprit in result.err
