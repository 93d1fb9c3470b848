"""Messages to and from the form that people write: YAML, JSON, flags. One walker over the descriptors.

Lists and maps are always written, also empty; what is unset is absent. Whatever is read is checked, and all problems
come at once, each with the path of its key.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from chaos_protocol import catalogue, checking, values
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import options_pb2
from chaos_protocol.words import WORDS

check = checking.check
M = TypeVar("M", bound=Message)
_YES_NO = {"yes": True, "no": False, "true": True, "false": False}


class _UnreadableError(Exception):
    """A value that can't be read; the text is the remedy."""


def read(cls: type[M], document: object, path: str = "") -> M:
    """The message that a document describes; raises `Refused` with every problem in it."""
    message = cls()
    problems = list(_fill(message, document, path))
    problems += check(message, path, {problem.culprit for problem in problems})
    if problems:
        raise Refused(problems)
    return message


def _fill(message: Message, document: object, path: str) -> Iterator[Problem]:
    if not isinstance(document, Mapping):
        yield Problem(path or message.DESCRIPTOR.name, _shown(document), "must be keys with values")
        return
    by_key = {parameter.key: parameter for parameter in catalogue.parameters_of(message.DESCRIPTOR)}
    for name, value in document.items():
        parameter = by_key.get(str(name).replace("-", "_"))
        if parameter is None:
            known = ", ".join(by_key)
            yield Problem(checking.join(path, str(name)), "", f"is not known here; known are {known}")
        else:
            yield from _fill_field(message, parameter, value, checking.join(path, parameter.key))


def _fill_field(message: Message, parameter: catalogue.Parameter, value: object, place: str) -> Iterator[Problem]:
    field = parameter.field
    if value is None:
        yield Problem(place, "null", "has no value; give one or leave the key out")
    elif checking.is_map(field):
        yield from _fill_map(getattr(message, field.name), value, place)
    elif field.is_repeated:
        items = value if isinstance(value, list | tuple) else [value]
        for index, item in enumerate(items):
            yield from _fill_item(message, parameter, item, f"{place}[{index}]")
    else:
        yield from _fill_item(message, parameter, value, place)


def _fill_map(target: Any, value: object, place: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(place, _shown(value), "must be keys with values")
        return
    for name, item in value.items():
        if isinstance(item, str):
            target[str(name)] = item
        else:
            yield Problem(checking.join(place, str(name)), _shown(item), "must be text; put it in quotes")


def _fill_item(message: Message, parameter: catalogue.Parameter, value: object, place: str) -> Iterator[Problem]:
    field = parameter.field
    if field.message_type and not _word_of(field):
        child = getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name)
        if not field.is_repeated:
            child.SetInParent()
        yield from _fill(child, value, place)
        return
    try:
        item = _read_scalar(parameter, value)
    except (_UnreadableError, ValueError) as error:
        yield Problem(place, _shown(value), str(error))
        return
    _put(message, field, item)


def _put(message: Message, field: FieldDescriptor, item: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(item)
    elif field.message_type:
        getattr(message, field.name).CopyFrom(item)
    else:
        setattr(message, field.name, item)


def _read_scalar(parameter: catalogue.Parameter, value: object) -> object:
    field = parameter.field
    if field.message_type:
        return _read_word(parameter, value)
    if field.enum_type:
        return _read_enum(parameter, value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _read_bool(value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _read_text(field, value)
    return _read_number(parameter, value)


def _read_word(parameter: catalogue.Parameter, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _UnreadableError(f"must be text, as {parameter.example}")
    return WORDS[_word_of(parameter.field)].read(str(value))


def _word_of(field: FieldDescriptor) -> str:
    option = field.message_type.GetOptions().Extensions[options_pb2.word] if field.message_type else ""
    return str(option)


def _read_enum(parameter: catalogue.Parameter, value: object) -> int:
    number = catalogue.number_of(parameter.enum, value) if isinstance(value, str) else None
    if number is None:
        raise _UnreadableError(f"must be one of {', '.join(parameter.choices)}")
    return number


def _read_bool(value: object) -> bool:
    known = value if isinstance(value, bool) else _YES_NO.get(str(value).lower())
    if known is None:
        raise _UnreadableError("must be yes or no")
    return known


def _read_text(field: FieldDescriptor, value: object) -> object:
    if not isinstance(value, str):
        raise _UnreadableError("must be text; put it in quotes")
    return bytes.fromhex(value) if field.type == FieldDescriptor.TYPE_BYTES else value


def _read_number(parameter: catalogue.Parameter, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _UnreadableError(f"must be {values.example(parameter.unit)}")
    number = values.parse(parameter.unit, str(value))
    wide = parameter.field.cpp_type in (FieldDescriptor.CPPTYPE_UINT64, FieldDescriptor.CPPTYPE_INT64)
    if number >= 2 ** (63 if wide else 31):
        raise _UnreadableError(f"is too large{f'; must be at most {parameter.max}' if parameter.max else ''}")
    return number


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return (text if text.isprintable() else ascii(text))[:80]


def write(message: Message) -> dict[str, Any]:
    """The message as people write it; what `-o json` and `-o yaml` print."""
    return {parameter.key: item for parameter, item in _written(message, human=True)}


def plain(message: Message) -> dict[str, Any]:
    """The message in base units, keys as in the proto: what faults and digests work with. Empty lists are absent."""
    return {parameter.field.name: item for parameter, item in _written(message, human=False) if item not in ([], {})}


def _written(message: Message, human: bool) -> Iterator[tuple[catalogue.Parameter, Any]]:
    for parameter in catalogue.parameters_of(message.DESCRIPTOR):
        field = parameter.field
        value = getattr(message, field.name)
        if checking.is_map(field):
            yield parameter, dict(sorted(value.items()))
        elif field.is_repeated:
            yield parameter, [_write_item(parameter, item, human) for item in value]
        elif message.HasField(field.name):
            yield parameter, _write_item(parameter, value, human)


def _write_item(parameter: catalogue.Parameter, item: Any, human: bool) -> Any:
    field = parameter.field
    if field.message_type:
        if human and (word := _word_of(field)):
            return WORDS[word].show(item)
        return write(item) if human else plain(item)
    if field.enum_type:
        return catalogue.word_of(field.enum_type, item)
    if isinstance(item, bytes):
        return item.hex()
    bare = parameter.unit in (options_pb2.UNIT_COUNT, options_pb2.UNIT_UNSPECIFIED)
    return item if bare or not human else values.show(parameter.unit, item)


def with_defaults(message: M) -> M:
    """A copy in which every unset parameter that has a default has it."""
    copy = type(message)()
    copy.CopyFrom(message)
    _set_defaults(copy)
    return copy


def _set_defaults(message: Message) -> None:
    for parameter in catalogue.parameters_of(message.DESCRIPTOR):
        field = parameter.field
        if field.message_type and not checking.is_map(field):
            items = getattr(message, field.name) if field.is_repeated else [getattr(message, field.name)]
            for item in items if checking.is_set(message, field) else ():
                _set_defaults(item)
        elif parameter.default and not checking.is_set(message, field):
            _put(message, field, _read_scalar(parameter, parameter.default))


def canonical(message: Message) -> bytes:
    """Canonical JSON with defaults filled in: equal for equal decisions, whoever serialised the message."""
    return json.dumps(plain(with_defaults(message)), sort_keys=True, separators=(",", ":")).encode()


def digest(message: Message) -> str:
    """SHA-256 of `canonical`, hex."""
    return hashlib.sha256(canonical(message)).hexdigest()
