"""`login`: make a key here, have it certified, remember the controller."""

import sys

import click
from chaos_protocol import enrolment, identity
from chaos_protocol.problems import Problem, Refused

from chaosctl import session, settings
from chaosctl.commandline import Command
from chaosctl.exits import Exit
from chaosctl.output import emit
from chaosctl.render import Page
from chaosctl.scan import Flag
from chaosctl.session import Session
from chaosctl.stop import Stop, Unreachable, refuse
from chaosctl.views import Document


def login_page(who: Document) -> Page:
    """Who we are now."""
    line = f"logged in as {who['role']} {who['name']} of fleet {who['fleet']}, controller {who['controller']}"
    return [line, f"key and certificate are in {who['home']}"]


@click.pass_context
def _login(context: click.Context, token: str, replace: bool) -> None:
    here = session.of(context)
    text = sys.stdin.read() if token == "-" else token
    read = enrolment.read_token(text)
    who = enrolment.identity_of(read)
    if who.role not in (identity.OPERATOR, identity.VIEWER):
        raise refuse("TOKEN", f"of {who}", "is a host's; use it there: chaos-agent enroll TOKEN")
    _keep_what_is_there(here, replace)
    controller = here.controller or read.api_address
    _join(text, here, read.enrol_address)
    settings.store(here.home, controller)
    said = {"fleet": who.fleet, "role": who.role, "name": who.name, "controller": controller, "home": str(here.home)}
    emit(here, said, login_page)


def _keep_what_is_there(here: Session, replace: bool) -> None:
    if (here.home / "identity.crt").exists() and not replace:
        remedy = "there is an identity already; give --replace, or set CHAOSCTL_HOME to another folder"
        raise refuse(str(here.home), "", remedy)


def _join(text: str, here: Session, address: str) -> None:
    try:
        enrolment.join(text, here.home)
    except Refused as refused:
        if any(problem.value == address for problem in refused.problems):
            raise Unreachable(refused.problems, "does not answer") from None
        raise Stop(Exit.LIMIT, [Problem("TOKEN", "", problem.remedy) for problem in refused.problems]) from None


command = Command(
    "login",
    callback=_login,
    help="Become an operator or a viewer. The key is made here and never leaves this machine.",
    params=[
        click.Argument(["token"], metavar="TOKEN|-"),
        Flag(["--replace"], is_flag=True, aliases=["force", "overwrite"], help="Put it in place of who you are now."),
    ],
)
