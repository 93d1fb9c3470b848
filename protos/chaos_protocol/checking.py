"""Whether a message is within what its descriptors allow. Run by the controller and again by the agent."""

import functools
from collections.abc import Collection, Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from chaos_protocol import catalogue, values
from chaos_protocol.problems import Problem
from chaos_protocol.v1 import options_pb2
from chaos_protocol.words import WORDS

_MOST_ITEMS = 1024
_LONGEST_TEXT = 4096
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


def check(message: Message, path: str = "", known_bad: Collection[str] = (), unknown: bool = True) -> list[Problem]:
    """Every problem of a message, with the path of each.

    `known_bad` are paths that already have a problem. Unknown fields are let pass where `unknown` is false: in
    requests that end a fault, a newer caller must be understood by an older agent.
    """
    return list(_problems(message, path, known_bad, unknown))


def _problems(message: Message, path: str, known_bad: Collection[str], unknown: bool) -> Iterator[Problem]:
    if unknown:
        yield from _unknown_fields(message, path)
    for parameter in catalogue.parameters_of(message.DESCRIPTOR):
        place = join(path, parameter.key)
        if place in known_bad:
            continue
        if is_set(message, parameter.field):
            yield from _field_problems(message, parameter, place, known_bad, unknown)
        elif parameter.required and not any(bad.startswith(place) for bad in known_bad):
            yield Problem(place, "", _missing(parameter))
    yield from _companions(message, path)
    yield from _unset_oneofs(message, path)


def _unknown_fields(message: Message, path: str) -> Iterator[Problem]:
    for field in UnknownFieldSet(message):  # type: ignore[attr-defined]
        remedy = "is not known to this version; update it, or leave the field out"
        yield Problem(path or message.DESCRIPTOR.name, f"field number {field.field_number}", remedy)


def _missing(parameter: catalogue.Parameter) -> str:
    return f"is required{f', as {parameter.example}' if parameter.example else ''}"


def _field_problems(
    message: Message, parameter: catalogue.Parameter, place: str, known_bad: Collection[str], unknown: bool
) -> Iterator[Problem]:
    field = parameter.field
    value = getattr(message, field.name)
    if is_map(field):
        yield from _text_problems(place, [*value.keys(), *(item for item in value.values() if isinstance(item, str))])
        return
    items = list(value) if field.is_repeated else [value]
    if len(items) > _MOST_ITEMS:
        yield Problem(place, f"{len(items)} entries", f"at most {_MOST_ITEMS} are taken")
        return
    for index, item in enumerate(items):
        here = f"{place}[{index}]" if field.is_repeated else place
        if here not in known_bad:
            yield from _item_problems(parameter, item, here, known_bad, unknown)


def _item_problems(
    parameter: catalogue.Parameter, item: object, place: str, known_bad: Collection[str], unknown: bool
) -> Iterator[Problem]:
    field = parameter.field
    if isinstance(item, Message):
        yield from _word_problems(item, place)
        yield from _problems(item, place, known_bad, unknown)
    elif field.enum_type:
        yield from _enum_problems(parameter, item, place)
    elif isinstance(item, str):
        yield from _text_problems(place, [item])
    elif field.cpp_type in _INTEGERS and isinstance(item, int):
        yield from _range_problems(parameter, item, place)


def _word_problems(item: Message, place: str) -> Iterator[Problem]:
    name = item.DESCRIPTOR.GetOptions().Extensions[options_pb2.word]
    word = WORDS.get(name)
    if word and (fault := word.fault(item)):  # type: ignore[arg-type]
        yield Problem(place, word.show(item), fault)  # type: ignore[arg-type]


def _enum_problems(parameter: catalogue.Parameter, item: object, place: str) -> Iterator[Problem]:
    if not isinstance(item, int) or catalogue.word_of(parameter.enum, item) not in parameter.choices:
        yield Problem(place, str(item), f"must be one of {', '.join(parameter.choices)}")


def _text_problems(place: str, texts: list[str]) -> Iterator[Problem]:
    for text in texts:
        if len(text) > _LONGEST_TEXT:
            yield Problem(place, f"{text[:40]}…", f"is longer than {_LONGEST_TEXT} characters")
        elif not text.isprintable():
            yield Problem(place, ascii(text), "has characters that can't be printed; leave them out")


def _range_problems(parameter: catalogue.Parameter, item: int, place: str) -> Iterator[Problem]:
    least, most = _limits(parameter)
    shown = values.show(parameter.unit, item)
    if least is not None and item < least:
        yield Problem(place, shown, f"must be at least {parameter.min}")
    if most is not None and item > most:
        yield Problem(place, shown, f"must be at most {parameter.max}")


@functools.cache
def _limits(parameter: catalogue.Parameter) -> tuple[int | None, int | None]:
    least = values.parse(parameter.unit, parameter.min) if parameter.min else None
    return least, values.parse(parameter.unit, parameter.max) if parameter.max else None


def _companions(message: Message, path: str) -> Iterator[Problem]:
    by_key = {parameter.key: parameter for parameter in catalogue.parameters_of(message.DESCRIPTOR)}
    for parameter in by_key.values():
        if not is_set(message, parameter.field):
            continue
        place = join(path, parameter.key)
        for other in parameter.conflicts:
            if is_set(message, by_key[other].field):
                yield Problem(place, "", f"goes not together with {other}; give one of them")
        for other in parameter.requires:
            if not is_set(message, by_key[other].field):
                yield Problem(place, "", f"needs {other} as well")


def _unset_oneofs(message: Message, path: str) -> Iterator[Problem]:
    for oneof in message.DESCRIPTOR.oneofs:
        synthetic = len(oneof.fields) == 1 and oneof.name.startswith("_")
        if not synthetic and message.WhichOneof(oneof.name) is None and not UnknownFieldSet(message):
            names = ", ".join(field.name for field in oneof.fields)
            yield Problem(path or message.DESCRIPTOR.name, "", f"must have one of: {names}")


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def is_set(message: Message, field: FieldDescriptor) -> bool:
    """Whether the field was given."""
    return bool(getattr(message, field.name)) if field.is_repeated else message.HasField(field.name)


def join(path: str, key: str) -> str:
    """The path of a key inside `path`."""
    return f"{path}.{key}" if path else key
