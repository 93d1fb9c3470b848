"""`hosts`: the inventory."""

import click

from chaosctl import flags, human, session
from chaosctl.commandline import Command, Group
from chaosctl.exits import Exit
from chaosctl.output import emit
from chaosctl.pairs import pairs_of
from chaosctl.render import Page, Sheet
from chaosctl.scan import Flag
from chaosctl.stop import Stop, refuse
from chaosctl.views import Document

_COLUMNS = ("HOST", "CONTACT", "LABELS", "UNDER FAULT", "NOTE", "ADDRESS", "VERSION")


def hosts_page(reply: Document) -> Page:
    """A line a host."""
    return [Sheet(_COLUMNS, list(map(_row, reply["hosts"])), empty="no host matches")]


def host_page(host: Document) -> Page:
    """One host."""
    return [Sheet(_COLUMNS, [_row(host)])]


def _row(host: Document) -> list[str]:
    return [
        host.get("name", ""),
        _contact(host),
        " ".join(f"{key}={value}" if value else key for key, value in host["labels"].items()),
        ",".join(map(human.short_id, host["injections"])),
        "; ".join([*filter(None, [host.get("note", "")]), *_lacks(host)]),
        host.get("address", ""),
        host.get("version", ""),
    ]


def _contact(host: Document) -> str:
    if host.get("retired"):
        return "retired"
    if host.get("online"):
        return "online"
    return f"offline since {human.clock(host['last_contact'])}" if host.get("last_contact") else "never seen"


def _lacks(host: Document) -> list[str]:
    return [
        f"no {kind.get('kind', '')}: {', '.join(problem.get('culprit', '') for problem in kind['missing'])}"
        for kind in host["kinds"]
        if kind["missing"]
    ]


@click.pass_context
def _list(context: click.Context, /, retired: bool, **given: tuple[str, ...]) -> None:
    if context.invoked_subcommand is not None:
        return
    here = session.of(context)
    selection = flags.document_of(flags.selection_flags(drawing=False), given).get("selection", {})
    try:
        emit(here, here.client.hosts(selection, retired), hosts_page)
    except Stop as stop:
        stop.problems = tuple(map(flags.in_flags, stop.problems))
        raise


@click.pass_context
def _label(context: click.Context, host: str, labels: tuple[str, ...]) -> None:
    here = session.of(context)
    remove = [label.removesuffix("-") for label in labels if "=" not in label and label.endswith("-")]
    wanted, problems = pairs_of("LABEL", [label for label in labels if "=" in label or not label.endswith("-")])
    if problems:
        raise Stop(Exit.INPUT, problems)
    emit(here, here.client.label_host(host, wanted, remove), host_page)


@click.pass_context
def _retire(context: click.Context, host: str, reason: str) -> None:
    here = session.of(context)
    emit(here, here.client.retire_host(host, _given(reason)), host_page)


@click.pass_context
def _accept(context: click.Context, host: str, reason: str) -> None:
    here = session.of(context)
    emit(here, here.client.accept_host(host, _given(reason)), host_page)


def _given(reason: str) -> str:
    if not reason.strip():
        raise refuse("--reason", "", "is required, for the audit log, as --reason 'hardware returned'")
    return reason


def _list_flags() -> list[Flag]:
    retired = Flag(["--retired"], is_flag=True, heading=flags.WHERE, help="Also those that were retired.")
    return [*flags.selection_flags(drawing=False), retired]


def _reason() -> Flag:
    return Flag(["--reason"], default="", metavar="TEXT", example="'hardware returned'", help="Why; required.")


def _host() -> click.Argument:
    return click.Argument(["host"], metavar="HOST")


list_command = Command("list", callback=_list, params=_list_flags(), help="Hosts, or those that a selection takes.")
label = Command(
    "label",
    callback=_label,
    help="Set labels (key=value) and remove them (key-).",
    params=[_host(), click.Argument(["labels"], nargs=-1, required=True, metavar="KEY=VALUE|KEY-...")],
)
retire = Command("retire", callback=_retire, params=[_host(), _reason()], help="Take a host out of the fleet for good.")
accept = Command(
    "accept",
    callback=_accept,
    params=[_host(), _reason()],
    help="Take it on yourself that a host is clean that can't prove it; frees the budget it holds.",
)
command = Group(
    "hosts",
    table=(
        ("Commands", "list", "Hosts, or those that a selection takes.", f"{__name__}:list_command"),
        ("Commands", "label", "Set labels (key=value) and remove them (key-).", f"{__name__}:label"),
        ("Commands", "retire", "Take a host out of the fleet for good.", f"{__name__}:retire"),
        ("Commands", "accept", "Take it on yourself that a host is clean.", f"{__name__}:accept"),
    ),
    synonyms={
        **dict.fromkeys(["ls", "show", "get"], "list"),
        **dict.fromkeys(["tag", "labels"], "label"),
        **dict.fromkeys(["remove", "delete", "rm"], "retire"),
    },
    params=_list_flags(),
    callback=_list,
    invoke_without_command=True,
    help="List hosts; label, retire or accept one.",
)
