"""Tokens for hosts and people, and taking certificates back."""

import click

from chaosctl import human, session
from chaosctl.commandline import Command
from chaosctl.exits import Exit
from chaosctl.output import emit
from chaosctl.pairs import pairs_of
from chaosctl.render import Page
from chaosctl.scan import Flag
from chaosctl.session import Session
from chaosctl.stop import Stop
from chaosctl.views import Document


def token_page(reply: Document) -> Page:
    """The token alone, to be piped on."""
    return [reply.get("token", "")]


def revoked_page(reply: Document) -> Page:
    """What was taken back."""
    return [f"revoked {fingerprint}" for fingerprint in reply["revoked"]] or ["there was no certificate to revoke"]


def _token(here: Session, name: str, role: str, valid: str, labels: dict[str, str], use: str) -> None:
    try:
        reply = here.client.create_token(name, role, labels, valid)
    except Stop as stop:
        stop.blame({"valid": "--valid", "name": "NAME", "role": "--role", "labels": "--label"})
        raise
    emit(here, reply, token_page)
    here.terminal.note(f"good once, until {human.clock(reply.get('expires', ''))}; {use}")


@click.pass_context
def _enroll(context: click.Context, host: str, label: tuple[str, ...], valid: str) -> None:
    labels, problems = pairs_of("--label", [item for text in label for item in text.split(",")])
    if problems:
        raise Stop(Exit.INPUT, problems)
    _token(session.of(context), host, "agent", valid, labels, "on that host: chaos-agent enroll TOKEN")


@click.pass_context
def _login(context: click.Context, name: str, role: str, valid: str) -> None:
    _token(session.of(context), name, role, valid, {}, "that person types: chaosctl login TOKEN")


@click.pass_context
def _revoke(context: click.Context, name: str, role: str) -> None:
    here = session.of(context)
    emit(here, here.client.revoke(name, role), revoked_page)


def _valid() -> Flag:
    return Flag(
        ["--valid"],
        default="",
        metavar="DURATION",
        example="1h",
        aliases=["ttl", "expires", "duration", "timeout"],
        help="How long the token may wait to be used.  [default 1h, 1s to 720h]",
    )


enroll_token = Command(
    "enroll-token",
    callback=_enroll,
    help="A token with which a host joins the fleet: single-use, expiring. Its labels are set here, not on the host.",
    params=[
        click.Argument(["host"], metavar="HOST"),
        Flag(
            ["--label"],
            multiple=True,
            metavar="KEY=VALUE",
            example="role=web",
            aliases=["tag"],
            help="A label of the host; repeatable.",
        ),
        _valid(),
    ],
)
login_token = Command(
    "login-token",
    callback=_login,
    help="A token with which a person logs in: single-use, expiring.",
    params=[
        click.Argument(["name"], metavar="NAME"),
        Flag(
            ["--role"],
            type=click.Choice(["operator", "viewer"]),
            required=True,
            example="operator",
            help="An operator may do everything; a viewer reads, and aborts.",
        ),
        _valid(),
    ],
)
revoke = Command(
    "revoke",
    callback=_revoke,
    help="Take somebody's certificates back; takes effect at once.",
    params=[
        click.Argument(["name"], metavar="NAME"),
        Flag(
            ["--role"],
            type=click.Choice(["agent", "operator", "viewer"]),
            required=True,
            example="viewer",
            help="In which role; a host (agent) and a person may share a name.",
        ),
    ],
)
