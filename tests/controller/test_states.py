"""The core's words are the protocol's."""

from enum import IntEnum

import pytest
from chaos_controller import states
from chaos_protocol.v1 import agent_pb2, controller_pb2

PAIRS = [
    (states.Reason, agent_pb2.Refused, "REFUSED_"),
    (states.InjectionState, agent_pb2.InjectionState, "INJECTION_STATE_"),
    (states.Ended, agent_pb2.Ended, "ENDED_"),
    (states.Outcome, agent_pb2.Outcome, "OUTCOME_"),
    (states.TargetState, controller_pb2.TargetState, "TARGET_STATE_"),
    (states.ExperimentState, controller_pb2.ExperimentState, "EXPERIMENT_STATE_"),
]


@pytest.mark.parametrize(("ours", "wire", "prefix"), PAIRS, ids=lambda each: getattr(each, "__name__", ""))
def test_the_same_names_and_numbers(ours: type[IntEnum], wire: object, prefix: str) -> None:
    """One enum everywhere; a new word of the proto must be known here."""
    theirs = {name.removeprefix(prefix): number for name, number in wire.items() if number}  # type: ignore[attr-defined]

    assert {word.name: word.value for word in ours if word.value} == theirs
