"""`status`: the fleet at a glance."""

import click

from chaosctl import session, views
from chaosctl.commandline import Command
from chaosctl.output import emit
from chaosctl.render import Page
from chaosctl.views import Document


def status_page(status: Document) -> Page:
    """Fence, budget, hosts and what runs."""
    fence = status.get("fence", {})
    raised = ", ".join(f"{order.get('by', '')}: {order.get('reason', '')}" for order in fence.get("orders", []))
    page = [
        f"fleet    {status.get('fleet', '')}, {status.get('online', 0)} of {status.get('hosts', 0)} hosts online",
        f"fence    {f'UP, nothing new starts ({raised})' if fence.get('up') else 'down'}",
        f"budget   {status.get('budget', '')}",
        f"you      {status.get('you', '')}",
        *(f"warning  {warning}" for warning in status.get("warnings", [])),
    ]
    return [*page, "", views.experiments_sheet(status.get("running", []), "nothing runs")]


@click.pass_context
def _status(context: click.Context) -> None:
    here = session.of(context)
    emit(here, here.client.status(), status_page)


command = Command("status", callback=_status, help="The fleet at a glance: fence, budget, hosts and what runs.")
