"""`audit`: who did what."""

import click

from chaosctl import human, session
from chaosctl.commandline import Command
from chaosctl.output import emit
from chaosctl.render import Page, Sheet
from chaosctl.scan import Flag
from chaosctl.views import Document


def audit_page(log: Document) -> Page:
    """A line an entry, in the controller's order."""
    rows = [
        [
            human.clock(entry.get("at", "")),
            entry.get("who", ""),
            entry.get("from", ""),
            entry.get("what", ""),
            entry.get("subject", ""),
            ",".join(entry.get("hosts", [])),
            entry.get("result", ""),
        ]
        for entry in log["entries"]
    ]
    return [Sheet(("AT", "WHO", "FROM", "WHAT", "SUBJECT", "HOSTS", "RESULT"), rows, empty="nothing yet")]


@click.pass_context
def _audit(context: click.Context, limit: int | None) -> None:
    here = session.of(context)
    emit(here, here.client.audit(limit or 0), audit_page)


command = Command(
    "audit",
    callback=_audit,
    help="Who did what, when, from where, to which hosts, and with what result.",
    params=[
        Flag(
            ["--limit"], type=click.IntRange(min=1), metavar="NUMBER", example="20", help="At most so many, the newest."
        )
    ],
)
