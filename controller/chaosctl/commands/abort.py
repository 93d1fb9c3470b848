"""`abort`: end one experiment or everything, and wait for a receipt from every host."""

import time
import uuid

import click

from chaosctl import ids, session, views
from chaosctl.client import Document
from chaosctl.commandline import Command
from chaosctl.exits import Exit, exit_of_abort, unproved
from chaosctl.live import Lines, LiveTable, receipts_board, screen
from chaosctl.output import emit
from chaosctl.scan import Flag
from chaosctl.session import Session
from chaosctl.stop import Unreachable, refuse

_PATIENCE_S = 15.0
_AGAIN_S = 0.5


@click.pass_context
def _abort(context: click.Context, identifier: str | None, everything: bool, reason: str) -> Exit:
    here = session.of(context)
    if bool(identifier) == everything:
        raise refuse("ID", identifier or "", "give one ID, or --all for everything")
    experiment = ids.whole(here.client, identifier) if identifier else ""
    report: Document = {"receipts": []}
    try:
        with screen(here.terminal) as view:
            _settled(here, experiment, everything, reason, report, view)
    except KeyboardInterrupt:
        here.terminal.note("left; the abort stands")
    emit(here, report, views.receipts_page)
    here.terminal.note(_ending(report))
    return exit_of_abort(report)


def _settled(
    here: Session, experiment: str, everything: bool, reason: str, report: Document, view: LiveTable | Lines
) -> None:
    """Ask until every row is settled; asking again with the same id asks for the same abort."""
    abort_id, lost_since = str(uuid.uuid4()), 0.0
    while True:
        try:
            with here.client.again() as client:
                for latest in client.abort(experiment, everything, reason, abort_id):
                    lost_since = 0.0
                    report.update(latest)
                    view.show(receipts_board(report))
            if report.get("settled"):
                return
        except Unreachable as lost:
            if not lost_since:
                lost_since = time.monotonic()
                view.say(f"the controller {lost.why}; trying again for {_PATIENCE_S:.0f}s, with the same abort")
            elif time.monotonic() - lost_since > _PATIENCE_S and "abort_id" in report:
                return
            elif time.monotonic() - lost_since > _PATIENCE_S:
                raise
        time.sleep(_AGAIN_S)


def _ending(report: Document) -> str:
    for warning in report.get("warnings", []):
        return f"warning: {warning}"
    if hosts := unproved(report["receipts"]):
        ways = "proved as soon as it answers again; gone for good: `chaosctl hosts accept HOST --reason WHY`"
        return f"not proved clean: {', '.join(hosts)}; {ways}"
    if not report.get("settled"):
        return "not known whether every host is clean; ask again with `chaosctl status`"
    return "every host is clean" if report["receipts"] else "nothing was running"


command = Command(
    "abort",
    callback=_abort,
    help="End an experiment, or everything at once; waits for a receipt from every host. "
    "--all also raises the fence: nothing new starts until `chaosctl fence lift`.",
    params=[
        click.Argument(["identifier"], metavar="[ID]", required=False),
        Flag(["--all", "everything"], is_flag=True, aliases=["everything"], help="Everything, and raise the fence."),
        Flag(
            ["--reason"],
            default="",
            metavar="TEXT",
            example="'wrong hosts'",
            aliases=["message", "comment"],
            help="Why, for the audit log.",
        ),
    ],
)
