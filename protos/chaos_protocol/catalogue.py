"""Fault kinds and parameters, read from the descriptors by reflection. Adding a fault needs no line here."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from chaos_protocol.v1 import faults_pb2, options_pb2

_SUFFIXES = {
    options_pb2.UNIT_DURATION: "_ns",
    options_pb2.UNIT_BYTES: "_bytes",
    options_pb2.UNIT_RATE: "_bps",
    options_pb2.UNIT_SHARE: "_ppm",
    options_pb2.UNIT_INSTANT: "_unix_ns",
}


@dataclass(frozen=True)
class Parameter:
    """One field as people meet it. `key` is used in files and JSON, `flag` on the command line."""

    field: FieldDescriptor
    key: str
    unit: int
    required: bool
    min: str
    max: str
    default: str
    help: str
    example: str
    aliases: tuple[str, ...]
    requires: tuple[str, ...]
    conflicts: tuple[str, ...]

    @property
    def flag(self) -> str:
        return "--" + self.key.replace("_", "-")

    @property
    def repeated(self) -> bool:
        return bool(self.field.is_repeated)

    @property
    def enum(self) -> EnumDescriptor:
        """The enum of an enum field."""
        assert self.field.enum_type is not None
        return self.field.enum_type

    @property
    def choices(self) -> tuple[str, ...]:
        """The words of an enum, or nothing."""
        enum = self.field.enum_type
        return tuple(word_of(enum, value.number) for value in enum.values if value.number) if enum else ()


@dataclass(frozen=True)
class Kind:
    """One kind of fault: an arm of the `Fault` oneof."""

    name: str
    help: str
    example: str
    needs: tuple[str, ...]
    measures: tuple[options_pb2.Measure, ...]
    parameters: tuple[Parameter, ...]
    descriptor: Descriptor


def parameter_of(field: FieldDescriptor) -> Parameter:
    """What the options say of a field; fields without options have a key all the same."""
    option = field.GetOptions().Extensions[options_pb2.parameter]
    suffix = _SUFFIXES.get(option.unit, "")
    if suffix and not field.name.endswith(suffix):
        raise ValueError(f"{field.full_name}: a field of this unit ends in {suffix}")
    return Parameter(
        field=field,
        key=field.name.removesuffix(suffix),
        unit=option.unit,
        required=option.required,
        min=option.min,
        max=option.max,
        default=option.default,
        help=option.help,
        example=option.example,
        aliases=tuple(option.aliases),
        requires=tuple(option.requires),
        conflicts=tuple(option.conflicts),
    )


@functools.cache
def parameters_of(descriptor: Descriptor) -> tuple[Parameter, ...]:
    """The fields of a message, in their order."""
    return tuple(parameter_of(field) for field in descriptor.fields)


def kinds(fault: Descriptor = faults_pb2.Fault.DESCRIPTOR) -> Mapping[str, Kind]:
    """Every fault kind by name (`disk_fill` is the kind `disk-fill`)."""
    return {kind.name: kind for kind in map(_kind_of, fault.oneofs_by_name["kind"].fields)}


def _kind_of(arm: FieldDescriptor) -> Kind:
    descriptor = arm.message_type
    assert descriptor is not None, "every arm of the oneof is a message"
    option = descriptor.GetOptions().Extensions[options_pb2.kind]
    return Kind(
        name=arm.name.replace("_", "-"),
        help=option.help,
        example=option.example,
        needs=tuple(option.needs),
        measures=tuple(option.measures),
        parameters=parameters_of(descriptor),
        descriptor=descriptor,
    )


def kind_of(fault: Message) -> tuple[str, Message]:
    """The kind's name and the message inside; ("", the fault itself) when none is set."""
    arm = fault.WhichOneof("kind")
    return (arm.replace("_", "-"), getattr(fault, arm)) if arm else ("", fault)


def word_of(enum: EnumDescriptor, number: int) -> str:
    """`DIRECTION_EGRESS` of `Direction` is the word `egress`; an unknown number is itself."""
    value = enum.values_by_number.get(number)
    return value.name.removeprefix(_prefix(enum)).lower().replace("_", "-") if value else str(number)


def number_of(enum: EnumDescriptor, word: str) -> int | None:
    """The number behind a word; None for an unknown one and for `unspecified`."""
    value = enum.values_by_name.get(_prefix(enum) + word.upper().replace("-", "_"))
    return value.number if value and value.number and word == word.lower() else None


def _prefix(enum: EnumDescriptor) -> str:
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def message_class(descriptor: Descriptor) -> type[Message]:
    """The class of a message's descriptor."""
    return GetMessageClass(descriptor)


@functools.cache
def catalogue_hash() -> str:
    """SHA-256 of the catalogue, hex: equal on two machines that know the same faults and limits."""
    return hashlib.sha256(faults_pb2.DESCRIPTOR.serialized_pb).hexdigest()
