"""`help`: commands, exit codes, and the shape of output."""

import click

from chaosctl import exits, session, suggest
from chaosctl.commandline import Command
from chaosctl.stop import refuse

_OUTPUT = """Data goes to stdout; progress, notes and problems go to stderr.

  -o table  aligned columns; without colours and unlimited in width when stdout is no terminal
  -o json   the reply of the API: keys as in protos/chaos_protocol/v1/controller.proto less their unit
            (delay_ns is "delay"), values as people write them ("100ms", "20%", "2026-01-31T12:00:00Z"),
            enums as words ("never-started"); lists and maps are always there, other keys only when set
  -o yaml   the same

`inject` prints the experiment as it ended, with --detach as it began; `plan` and `inject --dry-run` the plan; `abort`
the account with every receipt; `watch` the experiment at each change, a line each in JSON. A file given to
`inject --file` has the shape of "spec" in an experiment. NO_COLOR and TERM=dumb are honoured."""

TOPICS = {
    "exit-codes": f"Exit codes\n\n{exits.table_of_exits()}\n\n"
    "`chaosctl abort` ends with 0 when every host is proved clean. `chaosctl watch` ends as the experiment did,\n"
    "and with 0 when Ctrl-C stopped the watching.\n\n"
    "What a refusal is about, and its code:\n"
    + "\n".join(f"  {code.value}  {reason}" for reason, code in exits.REFUSALS.items()),
    "output": _OUTPUT,
}


@click.pass_context
def _help(context: click.Context, words: tuple[str, ...]) -> None:
    here, parent = session.of(context), context.parent
    assert parent is not None
    if words and words[0] in TOPICS:
        here.terminal.data(TOPICS[words[0]])
        return
    command, at = parent.command, parent
    for word in words:
        inner = command.get_command(at, word) if isinstance(command, click.Group) else None
        if inner is None:
            known = [*(command.list_commands(at) if isinstance(command, click.Group) else ()), *TOPICS]
            meant = suggest.command_for(word, known)
            raise refuse("TOPIC", word, f"is nothing to help with{f'; did you mean {meant}?' if meant else ''}")
        command, at = inner, click.Context(inner, at, inner.name)
    here.terminal.data(command.get_help(at))


command = Command(
    "help",
    callback=_help,
    help="Help on a command, on exit-codes, on output.",
    params=[click.Argument(["words"], nargs=-1, metavar="[COMMAND|exit-codes|output]...")],
)
