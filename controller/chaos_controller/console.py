"""The command line of `chaos-controller`. Only `run` listens; the rest works on the state folder, as root."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
from chaos_protocol.problems import Problem, Refused

from chaos_controller import config as configuration
from chaos_controller.config import Config

DEFAULT = Path("/etc/chaos-controller/controller.yaml")
_REFUSED, _SUPERSEDED = 2, 1


class _Group(click.Group):
    """Refusals are answers: every problem on a line of its own, and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as refused:
            for problem in refused.problems:
                click.echo(f"chaos-controller: {problem}", err=True)
            ctx.exit(_REFUSED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT,
    show_default=True,
    help="The controller's settings.",
)
@click.version_option(package_name="chaosctl", prog_name="chaos-controller")
@click.pass_context
def main(ctx: click.Context, path: Path) -> None:
    """The chaosctl controller: decides who is hit and when, and ends everything at once when it must."""
    ctx.obj = configuration.load(path)


@main.command()
@click.pass_obj
def run(config: Config) -> None:
    """Serve until SIGTERM. A stop ends nothing: what runs is taken up by the next start."""
    from chaos_protocol import jsonlog

    jsonlog.start()
    superseded = asyncio.run(_run(config))
    sys.exit(_SUPERSEDED if superseded else 0)


async def _run(config: Config) -> bool:
    import signal

    from chaos_controller import daemon

    controller = daemon.prepare(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, controller.stop)
    await controller.run()
    return controller.superseded


@main.command()
@click.pass_obj
def init(config: Config) -> None:
    """Make the CA, the controller's identity and the store. Refuses to overwrite."""
    from chaos_controller import setup

    setup.init(config)
    click.echo(f"fleet {config.fleet} is set up in {config.state}; next: chaos-controller run", err=True)


@main.command("login-token")
@click.argument("name")
@click.option("--role", type=click.Choice(["operator", "viewer"]), required=True, help="What the bearer may do.")
@click.option("--valid", default="1h", show_default=True, help="How long the token can be used.")
@click.pass_obj
def login_token(config: Config, name: str, role: str, valid: str) -> None:
    """Print a single-use token for `chaosctl login`. Needs no running controller."""
    from chaos_controller import setup

    click.echo(setup.login_token(config, name, role, valid))


@main.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["agent", "operator", "viewer"]), required=True, help="Whose certificate.")
@click.pass_obj
def revoke(config: Config, name: str, role: str) -> None:
    """Revoke every certificate of NAME; a running controller takes it up within seconds."""
    from chaos_controller import setup

    revoked = setup.revoke(config, name, role)
    if not revoked:
        raise Refused([Problem("name", name, f"no {role} of this name has a certificate")])
    click.echo(f"revoked {len(revoked)}", err=True)
