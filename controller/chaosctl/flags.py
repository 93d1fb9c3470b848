"""Flags from descriptors: a fault's own, the selection's and the experiment's. No fault is named here.

A flag's value goes into the document at its `place`; `document.read` reads and checks it, and what it finds wrong at
that place is told of the flag.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from chaos_protocol import catalogue, document
from chaos_protocol.catalogue import Kind, Parameter
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import controller_pb2, options_pb2
from google.protobuf.descriptor import FieldDescriptor

from chaosctl.scan import Flag

WHAT, WHERE, WHEN, RUN = "What", "Where", "When", "How to run"
_METAVARS: Mapping[int, str] = {
    options_pb2.UNIT_DURATION: "DURATION",
    options_pb2.UNIT_BYTES: "SIZE",
    options_pb2.UNIT_RATE: "RATE",
    options_pb2.UNIT_SHARE: "SHARE",
    options_pb2.UNIT_INSTANT: "TIME",
    options_pb2.UNIT_COUNT: "NUMBER",
}
_FAULT_PLACE = re.compile(r"faults\[\d+\](?:\.(\w+))?(?:\.(\w+))?(?:\[\d+\])?")
_OTHER_PLACE = re.compile(r"(?:selection\.)?(\w+)(?:\[\d+\])?")


def flags_of(kind: Kind) -> list[Flag]:
    """The flags of one fault kind: under What."""
    arm = kind.name.replace("-", "_")
    return [_flag(parameter, ("faults", arm, parameter.key), WHAT) for parameter in kind.parameters]


def shared_flags() -> list[Flag]:
    """The flags of every fault: under Where and When."""
    spec = catalogue.parameters_of(controller_pb2.Spec.DESCRIPTOR)
    return selection_flags() + [_flag(field, (field.key,), WHEN) for field in spec if not field.field.message_type]


_DRAWING = ("count", "percent", "seed")


def selection_flags(drawing: bool = True) -> list[Flag]:
    """The flags that choose hosts; without `drawing` those that name them and not those that draw some of them."""
    selection = catalogue.parameters_of(controller_pb2.Selection.DESCRIPTOR)
    chosen = [parameter for parameter in selection if drawing or parameter.key not in _DRAWING]
    return [_flag(parameter, ("selection", parameter.key), WHERE) for parameter in chosen]


class FieldFlag(Flag):
    """A flag that stands for one field."""

    def __init__(self, parameter: Parameter, place: tuple[str, ...], heading: str) -> None:
        self.parameter = parameter
        self.place = place
        super().__init__(
            [parameter.flag, "__".join(place)],
            heading=heading,
            aliases=parameter.aliases,
            example=parameter.example,
            yes_no=parameter.field.cpp_type == FieldDescriptor.CPPTYPE_BOOL,
            multiple=True,
            metavar=_metavar(parameter),
            help=help_of(parameter),
        )


def _flag(parameter: Parameter, place: tuple[str, ...], heading: str) -> Flag:
    return FieldFlag(parameter, place, heading)


def _metavar(parameter: Parameter) -> str:
    if parameter.choices:
        return "|".join(parameter.choices)
    if parameter.field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "yes|no"
    if parameter.field.message_type:
        return str(parameter.field.message_type.name).upper()
    return _METAVARS.get(parameter.unit, "TEXT")


def help_of(parameter: Parameter) -> str:
    """One parameter's help with its limits, as shown by `--help` and `chaosctl faults KIND`."""
    return f"{parameter.help}{_limits(parameter)}"


def _limits(parameter: Parameter) -> str:
    parts = []
    if parameter.required:
        parts.append("required")
    if parameter.default:
        parts.append(f"default {parameter.default}")
    if parameter.min and parameter.max:
        parts.append(f"{parameter.min} to {parameter.max}")
    elif parameter.min or parameter.max:
        parts.append(f"at least {parameter.min}" if parameter.min else f"at most {parameter.max}")
    if parameter.repeated:
        parts.append("repeatable")
    if parameter.example:
        parts.append(f"as {parameter.example}")
    return f"  [{', '.join(parts)}]" if parts else ""


def document_of(flags: Iterable[Flag], given: Mapping[str, Any], arm: str = "") -> dict[str, Any]:
    """The experiment that the flags describe, in the shape of a file given to --file."""
    fault: dict[str, Any] = {}
    document: dict[str, Any] = {"faults": [{arm: fault}]} if arm else {}
    for flag in flags:
        said = given.get(flag.name or "")
        if not said or not isinstance(flag, FieldFlag):
            continue
        value = _value(flag.parameter, said)
        *inside, key = flag.place
        target = fault if inside[:1] == ["faults"] else document.setdefault(inside[0], {}) if inside else document
        target[key] = value
    return document


def _value(parameter: Parameter, said: Iterable[str]) -> object:
    """What was said last counts; lists take every flag, and commas within one."""
    if parameter.repeated:
        return [item.strip() for text in said for item in text.split(",") if item.strip()] or [""]
    return list(said)[-1]


def in_flags(problem: Problem) -> Problem:
    """The problem with the flag as its culprit, where its place in the document came from a flag."""
    culprit = told_as(problem.culprit)
    if culprit == "--selection":
        return Problem("--hosts", "", "say which hosts: --hosts 'web*' or --labels role=web (all: --hosts '*')")
    return Problem(culprit, problem.value, problem.remedy)


def told_as(place: str) -> str:
    """The flag behind a place in the document; any other culprit stays."""
    return flag_of(place, catalogue.kinds()) or place


def flag_of(place: str, kinds: Mapping[str, Kind]) -> str:
    """`faults[0].latency.to_port[1]` is `--to-port`; nothing for places that no flag fills."""
    if match := _FAULT_PLACE.fullmatch(place):
        arm, key = match.groups()
        kind = kinds.get(str(arm).replace("_", "-"))
        known = {parameter.key for parameter in kind.parameters} if kind else set()
        return "--" + key.replace("_", "-") if key in known else ""
    if match := _OTHER_PLACE.fullmatch(place):
        known = {flag.place[-1] for flag in shared_flags() if isinstance(flag, FieldFlag)} | {"selection"}
        return "--" + match[1].replace("_", "-") if match[1] in known else ""
    return ""


def elsewhere(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Flags of faults, for whoever writes them before the fault's name."""
    found: dict[str, list[str]] = {}
    for kind in kinds.values():
        for parameter in kind.parameters:
            found.setdefault(parameter.flag, []).append(kind.name)
    return {flag: f"belongs behind the fault: {' or '.join(names)} {flag} …" for flag, names in found.items()}


def problems_of(spec: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Everything that is wrong with an experiment's values, with their places in the document."""
    try:
        document.read(controller_pb2.Spec, spec)
    except Refused as refused:
        return refused.problems
    return ()
