"""`faults`: the catalogue, from this chaosctl's own descriptors; no controller is asked."""

from typing import Any

import click
from chaos_protocol import catalogue, values
from chaos_protocol.catalogue import Kind, Parameter

from chaosctl import flags, session, suggest
from chaosctl.commandline import Command
from chaosctl.output import emit
from chaosctl.render import Page, Sheet
from chaosctl.stop import refuse
from chaosctl.views import Document


def kind_document(kind: Kind) -> dict[str, Any]:
    """One kind in the documented shape."""
    return {
        "name": kind.name,
        "help": kind.help,
        "example": kind.example,
        "needs": list(kind.needs),
        "parameters": [_parameter_document(parameter) for parameter in kind.parameters],
        "measures": [
            {"name": measure.name, "of": measure.of, "tolerance": measure.tolerance, "help": measure.help}
            for measure in kind.measures
        ],
    }


def _parameter_document(parameter: Parameter) -> dict[str, Any]:
    said = {"min": parameter.min, "max": parameter.max, "default": parameter.default, "example": parameter.example}
    return {
        "key": parameter.key,
        "flag": parameter.flag,
        "help": parameter.help,
        "written": values.example(parameter.unit),
        "required": parameter.required,
        "repeated": parameter.repeated,
        "choices": list(parameter.choices),
        "aliases": list(parameter.aliases),
        **{name: text for name, text in said.items() if text},
    }


def faults_page(document: Document) -> Page:
    """A line a kind."""
    return [Sheet(("FAULT", "WHAT IT DOES"), [[kind["name"], kind["help"]] for kind in document["kinds"]])]


def fault_page(kind: Document) -> Page:
    """One kind with its flags."""
    known = {parameter.key: parameter for parameter in catalogue.kinds()[kind["name"]].parameters}
    rows = [[parameter["flag"], flags.help_of(known[parameter["key"]])] for parameter in kind["parameters"]]
    measures = [[measure["name"], measure["help"]] for measure in kind["measures"]]
    return [
        f"{kind['name']}: {kind['help']}",
        f"needs on the host: {', '.join(kind['needs']) or 'nothing'}",
        "",
        Sheet(("FLAG", "MEANING"), rows, empty="no parameters"),
        "",
        Sheet(("MEASURE", "MEANING"), measures, empty="no measures"),
        "",
        f"example: chaosctl inject {kind['example']}",
    ]


@click.pass_context
def _faults(context: click.Context, kind: str | None) -> None:
    here, kinds = session.of(context), catalogue.kinds()
    if kind is None:
        emit(here, {"kinds": [kind_document(one) for one in kinds.values()]}, faults_page)
    elif kind in kinds:
        emit(here, kind_document(kinds[kind]), fault_page)
    else:
        meant = suggest.command_for(kind, kinds, {})
        instead = f"did you mean {meant}?" if meant else f"there are: {', '.join(kinds)}"
        raise refuse("KIND", kind, f"is no fault; {instead}")


command = Command(
    "faults",
    callback=_faults,
    help="What can be injected, with every flag, its limits and defaults.",
    params=[click.Argument(["kind"], metavar="[KIND]", required=False)],
)
