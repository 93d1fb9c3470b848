"""The catalogue as read from the descriptors."""

from types import ModuleType

import pytest
from chaos_protocol import catalogue, checking, document, values
from chaos_protocol.v1 import agent_pb2, controller_pb2, faults_pb2

PARAMETERS = [(kind, parameter) for kind in catalogue.kinds().values() for parameter in kind.parameters]
ids = [f"{kind.name}.{parameter.key}" for kind, parameter in PARAMETERS]


@pytest.mark.parametrize(("kind", "parameter"), PARAMETERS, ids=ids)
def test_every_parameter_has_help_and_an_example_that_reads(
    kind: catalogue.Kind, parameter: catalogue.Parameter
) -> None:
    """What help shows can be typed."""
    assert parameter.help.endswith(".")

    content = {other.key: other.example for other in kind.parameters if other.required}
    message = document.read(catalogue.message_class(kind.descriptor), content | {parameter.key: parameter.example})

    assert checking.is_set(message, parameter.field)


@pytest.mark.parametrize(("kind", "parameter"), PARAMETERS, ids=ids)
def test_limits_and_defaults_are_values_of_their_unit(kind: catalogue.Kind, parameter: catalogue.Parameter) -> None:
    """A limit that can't be read would be found only by who runs into it."""
    for text in filter(None, (parameter.min, parameter.max)):
        assert values.parse(parameter.unit, text) >= 0
    assert {*parameter.conflicts, *parameter.requires} <= {other.key for other in kind.parameters}


def test_aliases_never_hide_a_flag() -> None:
    """A word that is suggested for another flag is no flag itself."""
    spec = catalogue.parameters_of(controller_pb2.Spec.DESCRIPTOR)
    selection = catalogue.parameters_of(controller_pb2.Selection.DESCRIPTOR)
    for kind in catalogue.kinds().values():
        flags = {parameter.flag for parameter in (*kind.parameters, *spec, *selection)}
        assert not flags & {f"--{alias}" for parameter in kind.parameters for alias in parameter.aliases}


@pytest.mark.parametrize("proto", [agent_pb2, controller_pb2, faults_pb2], ids=lambda proto: proto.DESCRIPTOR.name)
def test_no_two_fields_of_a_message_share_a_key(proto: ModuleType) -> None:
    """A key less its unit must still be one field's alone, or one hides the other in files and JSON."""
    for message in proto.DESCRIPTOR.message_types_by_name.values():
        keys = [parameter.key for parameter in catalogue.parameters_of(message)]
        assert sorted(set(keys)) == sorted(keys), message.name
