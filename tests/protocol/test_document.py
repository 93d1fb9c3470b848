"""Messages to and from YAML, JSON and flags."""

import pytest
from chaos_protocol import document
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import controller_pb2, faults_pb2
from hypothesis import given
from hypothesis import strategies as st

WHOLE = {"faults": [{"latency": {"delay": "100ms"}}], "selection": {"hosts": ["web*"]}}


def problems_of(content: object) -> list[str]:
    with pytest.raises(Refused) as refused:
        document.read(controller_pb2.Spec, content)
    return [str(problem) for problem in refused.value.problems]


def test_reads_what_people_write_into_base_units() -> None:
    """Units, words and ranges become what the wire has."""
    content = {"delay": "100ms", "to-port": ["5432", 80, "6000-6100"], "direction": "both", "fragments": "yes"}

    latency = document.read(faults_pb2.Latency, content)

    assert document.plain(latency) == {
        "delay_ns": 100_000_000,
        "to_port": [{"first": 5432, "last": 5432}, {"first": 80, "last": 80}, {"first": 6000, "last": 6100}],
        "direction": "both",
        "fragments": True,
    }


def test_what_is_written_is_read_back() -> None:
    """A record printed with -o yaml is an experiment file."""
    spec = document.with_defaults(document.read(controller_pb2.Spec, WHOLE))

    assert spec == document.read(controller_pb2.Spec, document.write(spec))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        # what is wrong, what the answer says of it
        ({"faults": None}, "faults: null: has no value; give one or leave the key out"),
        ({"faults": []}, "faults: is required"),
        ({"faults": [{}]}, "faults[0]: must have one of: latency"),
        ({"faults": [{"latency": {}}]}, "faults[0].latency.delay: is required, as 100ms"),
        ({"faults": [{"latency": {"delay": 100}}]}, "faults[0].latency.delay: 100: has no unit; write 100ms or 100s"),
        ({"faults": [{"latency": {"delay": "2h"}}]}, "faults[0].latency.delay: 2h: must be at most 60s"),
        ({"faults": [{"latency": {"delay": "0s"}}]}, "faults[0].latency.delay: 0s: must be at least 1us"),
        ({"duration": True}, "duration: true: must be 100ms"),
        ({"colour": "red"}, "colour: is not known here; known are faults"),
        ({"selection": []}, "selection: []: must be keys with values"),
        ({"selection": {"count": 0}}, "selection.count: 0: must be at least 1"),
        ({"selection": {"count": 1e9}}, "selection.count: 1000000000.0: "),
        ({"selection": {"count": 2, "percent": "5%"}}, "selection.count: goes not together with percent"),
        ({"reason": "a\x1b[31m"}, "reason: 'a\\x1b[31m': has characters that can't be printed"),
    ],
)
def test_names_culprit_value_and_remedy(change: dict[str, object], problem: str) -> None:
    """Each problem has the path of its key."""
    assert any(each.startswith(problem) for each in problems_of(WHOLE | change)), problems_of(WHOLE | change)


def test_all_problems_come_at_once() -> None:
    """One answer names everything that is wrong."""
    content = {"faults": [{"latency": {"delay": "100", "to_port": ["70000"], "direction": "up"}}], "duration": "2"}

    culprits = [problem.partition(": ")[0] for problem in problems_of(content)]

    latency = "faults[0].latency"
    assert culprits == [f"{latency}.delay", f"{latency}.to_port[0]", f"{latency}.direction", "duration", "selection"]


def test_a_message_from_the_wire_is_checked_the_same() -> None:
    """Limits and unknown numbers are found without the human form."""
    latency = faults_pb2.Latency(delay_ns=61 * 10**9, to_port=[faults_pb2.Ports(first=9, last=3)])
    latency.direction = 77  # type: ignore[assignment]

    found = document.check(latency)

    assert found == [
        Problem("delay", "1m1s", "must be at most 60s"),
        Problem("direction", "77", "must be one of egress, ingress, both"),
        Problem("to_port[0]", "9-3", "the range runs backwards"),
    ]


def test_unknown_fields_are_found_at_any_depth() -> None:
    """A field that a newer caller sent is a problem where it shapes a fault."""
    nested = faults_pb2.Fault.FromString(b"\x0a\x08\x08\x80\xc2\xd7\x2f\xf8\x07\x01")

    assert [problem.value for problem in document.check(nested)] == ["field number 127"]
    assert document.check(nested, unknown=False) == []


def test_the_digest_does_not_depend_on_what_was_left_out() -> None:
    """Equal decisions have equal digests: a default given is a default left out."""
    bare = document.read(faults_pb2.Latency, {"delay": "100ms"})
    full = document.read(faults_pb2.Latency, {"delay": "0.1s", "direction": "egress", "jitter": "0s"})

    assert document.digest(bare) == document.digest(full)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["faults", "latency", "delay", "to_port", "interface", "selection", "hosts", "count", "duration", "reason"]


@given(st.dictionaries(st.sampled_from(KEYS), JUNK) | JUNK)
def test_nonsense_is_refused_and_nothing_worse(content: object) -> None:
    """Whatever a file holds, the answer is a message or a list of problems."""
    try:
        document.read(controller_pb2.Spec, content)
    except Refused as refused:
        assert refused.problems
