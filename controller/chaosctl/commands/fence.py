"""`fence`: what an abort of all raised, and nothing new starts until it is lifted."""

import click

from chaosctl import human, session
from chaosctl.commandline import Command, Group
from chaosctl.output import emit
from chaosctl.render import Page, Sheet
from chaosctl.stop import refuse
from chaosctl.views import Document


def fence_page(fence: Document) -> Page:
    """Whether it is up, and by whom."""
    orders = fence.get("orders", [])
    rows = [[human.short_id(row.get("abort_id", "")), row.get("by", ""), row.get("reason", "")] for row in orders]
    if not fence.get("up"):
        return ["the fence is down: experiments may start"]
    return ["the fence is up: nothing new starts", "", Sheet(("ABORT", "BY", "REASON"), rows)]


@click.pass_context
def _show(context: click.Context) -> None:
    here = session.of(context)
    if context.invoked_subcommand is None or context.info_name == "show":
        emit(here, here.client.fence(), fence_page)


@click.pass_context
def _lift(context: click.Context, given: tuple[str, ...]) -> None:
    here = session.of(context)
    up = [str(order.get("abort_id", "")) for order in here.client.fence()["orders"]] if given else []
    lifted = []
    for beginning in given:
        found = [identifier for identifier in up if identifier.startswith(beginning)]
        if len(found) != 1:
            raise refuse(
                "ID", beginning, f"must be the beginning of one abort that is up: {', '.join(up) or 'none is'}"
            )
        lifted += found
    emit(here, here.client.lift_fence(lifted), fence_page)


show = Command("show", callback=_show, help="Whether it is up, by whom and why.")
lift = Command(
    "lift",
    callback=_lift,
    help="Let new faults in again; without IDs: whatever is up now.",
    params=[click.Argument(["given"], nargs=-1, metavar="[ID]...")],
)
command = Group(
    "fence",
    table=(
        ("Commands", "show", "Whether it is up, by whom and why.", f"{__name__}:show"),
        ("Commands", "lift", "Let new faults in again.", f"{__name__}:lift"),
    ),
    synonyms={"raise": "", **dict.fromkeys(["down", "remove", "clear", "open", "resume"], "lift"), "status": "show"},
    callback=_show,
    invoke_without_command=True,
    help="What keeps new faults out after `abort --all`.",
)
