"""A fault that no .proto file has, put among the descriptors at run time."""

import functools

from chaos_protocol import catalogue
from chaos_protocol.v1 import options_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

_FIELD = descriptor_pb2.FieldDescriptorProto


@functools.cache
def made_up_kind() -> catalogue.Kind:
    """The kind `disk-fog`: a size and a mode."""
    file = descriptor_pb2.FileDescriptorProto(name="made_up.proto", package="chaos.made_up", syntax="proto3")
    file.dependency.append("chaos_protocol/v1/options.proto")
    mode = file.enum_type.add(name="Mode")
    for number, name in enumerate(("MODE_UNSPECIFIED", "MODE_GENTLE", "MODE_ROUGH")):
        mode.value.add(name=name, number=number)
    fog = file.message_type.add(name="DiskFog")
    kind = fog.options.Extensions[options_pb2.kind]
    kind.help, kind.example = "Fill a disk with nothing.", "disk-fog --size 64MiB"
    _parameter(
        fog.field.add(name="size_bytes", number=1, type=_FIELD.TYPE_UINT64, label=_FIELD.LABEL_OPTIONAL),
        options_pb2.Parameter(
            required=True, unit=options_pb2.UNIT_BYTES, min="1KiB", max="1GiB", example="64MiB", help="How much."
        ),
    )
    _parameter(
        fog.field.add(
            name="mode", number=2, type=_FIELD.TYPE_ENUM, type_name=".chaos.made_up.Mode", label=_FIELD.LABEL_OPTIONAL
        ),
        options_pb2.Parameter(default="gentle", example="rough", help="How."),
    )
    fault = file.message_type.add(name="Fault")
    fault.oneof_decl.add(name="kind")
    arm = fault.field.add(name="disk_fog", number=1, type=_FIELD.TYPE_MESSAGE, type_name=".chaos.made_up.DiskFog")
    arm.oneof_index = 0
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return catalogue.kinds(pool.FindMessageTypeByName("chaos.made_up.Fault"))["disk-fog"]


def _parameter(field: descriptor_pb2.FieldDescriptorProto, option: options_pb2.Parameter) -> None:
    field.options.Extensions[options_pb2.parameter].CopyFrom(option)
