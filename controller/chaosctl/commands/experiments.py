"""`list` and `show`."""

import click

from chaosctl import ids, session, views
from chaosctl.commandline import Command
from chaosctl.output import emit
from chaosctl.render import Page
from chaosctl.scan import Flag
from chaosctl.views import Document


@click.pass_context
def _list(context: click.Context, over: bool, limit: int | None) -> None:
    here = session.of(context)
    empty = "no experiment yet" if over else "nothing runs; `chaosctl list --all` shows what is over"

    def page(reply: Document) -> Page:
        return [views.experiments_sheet(reply["experiments"], empty)]

    emit(here, here.client.experiments(over, limit or 0), page)


@click.pass_context
def _show(context: click.Context, identifier: str) -> None:
    here = session.of(context)
    emit(here, here.client.show(ids.whole(here.client, identifier)), views.experiment_page)


list_command = Command(
    "list",
    callback=_list,
    help="Experiments that run; --all: those that are over, too.",
    params=[
        Flag(["--all", "over"], is_flag=True, aliases=["history", "finished"], help="Also those that are over."),
        Flag(["--limit"], type=click.IntRange(min=1), metavar="NUMBER", example="20", help="At most so many, newest."),
    ],
)
show = Command(
    "show",
    callback=_show,
    help="One experiment with every host. The beginning of its ID is enough.",
    params=[click.Argument(["identifier"], metavar="ID")],
)
