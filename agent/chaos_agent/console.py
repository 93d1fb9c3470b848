"""The command line of `chaos-agent`. Commands but `run` and `enroll` need no network, and `revert` no daemon.

The daemon itself goes around it, see `starting`: what `run` does with the configuration is the caller's to give.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import click
from chaos_protocol.problems import Problem, Refused

from chaos_agent import config as configuration
from chaos_agent.config import Config

_UNPROVED = 6
_SERVE = "serve"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=configuration.DEFAULT,
    show_default=True,
    help="The host owner's settings; absent: defaults.",
)
@click.version_option(package_name="chaosctl", prog_name="chaos-agent")
@click.pass_context
def main(ctx: click.Context, path: Path) -> None:
    """The chaosctl agent of this host: it injects faults, and above all it undoes them."""
    if path != configuration.DEFAULT and not path.exists():
        raise Refused([Problem("--config", str(path), "no such file")])
    ctx.meta[_SERVE] = ctx.obj
    ctx.obj = configuration.load(path)


@main.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Serve the controller until SIGTERM. Leftovers of an earlier run are reverted first."""
    serve: Callable[[Config], None] = ctx.meta[_SERVE]
    serve(ctx.obj)


@main.command()
@click.argument("token")
@click.option("--advertise", help="Name or address, and port, at which the controller reaches this host.")
@click.pass_obj
def enroll(config: Config, token: str, advertise: str | None) -> None:
    """Join a fleet with a TOKEN from `chaosctl enroll-token`. The key is made here and stays here."""
    from chaos_protocol import enrolment, identity

    from chaos_agent.host import clock

    if enrolment.identity_of(enrolment.read_token(token)).role != identity.AGENT:
        raise Refused([Problem("token", token[:12] + "…", "is for a person; `chaosctl login` takes it")])
    who = enrolment.join(token, config.identity, advertise or config.advertise, clock.machine_id())
    click.echo(f"{who.name} has joined fleet {who.fleet}; start it with `chaos-agent run`")


@main.command()
@click.pass_obj
def status(config: Config) -> None:
    """What is under fault on this host, and what may start."""
    from chaos_agent import local

    lines, unproved = local.status(config)
    for line in lines:
        click.echo(line)
    sys.exit(_UNPROVED if unproved else 0)


@main.command()
@click.argument("injection_id", required=False)
@click.option("--all", "every", is_flag=True, help="Everything of ours on this host.")
@click.pass_obj
def revert(config: Config, injection_id: str | None, every: bool) -> None:
    """Undo one injection, or all of them; with or without a running daemon."""
    from chaos_agent import local

    if bool(injection_id) == every:
        raise Refused([Problem("revert", injection_id or "", "give either an injection's id or --all")])
    _report(local.revert(config, injection_id))


@main.command()
@click.option("--reason", default="", help="Why; shown to everybody whom it keeps from starting.")
@click.pass_obj
def abort(config: Config, reason: str) -> None:
    """End everything on this host now, and let nothing start until `chaos-agent resume`."""
    from chaos_agent import local

    _report(local.abort(config, reason))


@main.command()
@click.pass_obj
def resume(config: Config) -> None:
    """Let faults start again after `chaos-agent abort`."""
    from chaos_agent import local

    for line in local.resume(config):
        click.echo(line)


def _report(account: tuple[list[str], bool]) -> None:
    lines, clean = account
    for line in lines:
        click.echo(line)
    sys.exit(0 if clean else _UNPROVED)
