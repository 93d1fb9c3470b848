"""The exit status says how it ended, and what is not proved outranks everything."""

from typing import Any

import pytest
from chaos_protocol import catalogue
from chaos_protocol.v1 import agent_pb2, controller_pb2
from chaosctl.exits import (
    OVER,
    PROVED,
    REFUSALS,
    Exit,
    exit_of_abort,
    exit_of_experiment,
    exit_of_refusal,
    table_of_exits,
)


def experiment(state: str, *targets: str) -> dict[str, Any]:
    """An experiment with targets written `state/ended`."""
    rows = [target.split("/") for target in targets]
    return {"state": state, "targets": [{"host": "web1", "state": row[0], "ended": row[1]} for row in rows]}


@pytest.mark.parametrize(
    ("state", "targets", "code"),
    [
        # It ran as asked.
        pytest.param("completed", ["clean/duration"], Exit.DONE, id="all-clean"),
        pytest.param("completed", [], Exit.DONE, id="nobody-hit"),
        # Some host did not do its part, but every host is clean.
        pytest.param("completed", ["clean/duration", "clean/no-effect"], Exit.PARTLY, id="no-effect-on-one"),
        pytest.param("completed", ["clean/duration", "never-started/refused"], Exit.PARTLY, id="one-refused"),
        pytest.param("failed", ["never-started/refused"], Exit.PARTLY, id="failed"),
        # It was ended.
        pytest.param("aborted", ["clean/operator"], Exit.ABORTED, id="aborted"),
        pytest.param("aborted", ["clean/no-effect", "clean/operator"], Exit.ABORTED, id="aborted-and-partly-failed"),
        # Not proved outranks the rest.
        pytest.param("completed", ["clean/duration", "presumed-clean/duration"], Exit.UNPROVED, id="presumed"),
        pytest.param("aborted", ["ending/operator"], Exit.UNPROVED, id="still-ending"),
        pytest.param("aborted", ["accepted/operator"], Exit.UNPROVED, id="accepted-by-a-person"),
        pytest.param("failed", ["8/failed"], Exit.UNPROVED, id="a-state-that-we-do-not-know"),
    ],
)
def test_status_of_an_experiment(state: str, targets: list[str], code: Exit) -> None:
    """The status follows from the experiment's state and from what each host proved."""
    assert code == exit_of_experiment(experiment(state, *targets))


@pytest.mark.parametrize(
    ("report", "code"),
    [
        pytest.param({"settled": True, "receipts": [{"host": "a", "state": "clean"}]}, Exit.DONE, id="clean"),
        pytest.param({"settled": True, "receipts": []}, Exit.DONE, id="nothing-ran"),
        pytest.param({"receipts": [{"host": "a", "state": "clean"}]}, Exit.UNPROVED, id="not-settled"),
        pytest.param({"settled": True, "receipts": [{"state": "presumed-clean"}]}, Exit.UNPROVED, id="presumed"),
    ],
)
def test_status_of_an_abort(report: dict[str, Any], code: Exit) -> None:
    """`abort` ends with 0 only when all is settled and proved."""
    assert code == exit_of_abort(report)


def test_every_reason_of_the_protocol_has_a_status() -> None:
    """A reason for a refusal that the contract has is in the table, and no other."""
    reasons = {
        catalogue.word_of(agent_pb2.Refused.DESCRIPTOR, number) for number in agent_pb2.Refused.values() if number
    }

    assert reasons == set(REFUSALS)


def test_a_reason_from_a_newer_controller_is_a_refusal() -> None:
    """An unknown reason is no internal error."""
    assert exit_of_refusal("11") == Exit.INPUT


@pytest.mark.parametrize(
    ("words", "enum"),
    [
        pytest.param(PROVED, controller_pb2.TargetState.DESCRIPTOR, id="proved"),
        pytest.param(OVER, controller_pb2.ExperimentState.DESCRIPTOR, id="over"),
    ],
)
def test_words_are_those_of_the_protocol(words: frozenset[str], enum: Any) -> None:
    """The words that decide the status exist in the contract."""
    assert all(catalogue.number_of(enum, word) for word in words)


def test_the_table_for_people_has_every_code() -> None:
    """`help exit-codes` leaves none out."""
    lines = table_of_exits().splitlines()

    assert [str(code.value) for code in Exit] == [line.split()[0] for line in lines]
