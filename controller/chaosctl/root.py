"""The command `chaosctl` itself."""

import click

from chaosctl import session
from chaosctl.commandline import Group
from chaosctl.commands import TABLE
from chaosctl.scan import Flag

_EPILOG = """\b
First steps:
  chaosctl plan latency --hosts 'web*' --delay 100ms
  chaosctl inject latency --hosts 'web*' --delay 100ms --duration 2m
  chaosctl abort --all

Exit codes: 0 done, 1 internal, 2 refused, 3 policy or fence, 4 partly failed, 5 aborted, 6 not proved clean,
7 controller unreachable (`chaosctl help exit-codes`)."""


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        session.of(context).terminal.data(f"chaosctl {version('chaosctl')}")
        context.exit()


@click.pass_context
def _root(context: click.Context) -> None:
    context.call_on_close(session.of(context).close)


root = Group(
    "chaosctl",
    table=TABLE,
    callback=_root,
    help="Inject faults into a fleet of Linux hosts: always undone, never locked out.",
    epilog=_EPILOG,
    no_args_is_help=True,
    params=[
        Flag(
            ["--version"],
            heading="Everywhere",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        )
    ],
)
