"""The entry of `chaosctl`: every way in which a command can end becomes an exit status here."""

import os
import sys
from collections.abc import Sequence

import click
from chaos_protocol.problems import Problem, Refused

from chaosctl.exits import Exit
from chaosctl.session import Session
from chaosctl.stop import Stop
from chaosctl.terminal import Terminal, safe


def main(words: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run one command; the exit status is one of `exits.Exit`."""
    session = session or Session()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines on stderr say less than ours, and later
    try:
        return _run(list(sys.argv[1:] if words is None else words), session)
    except Stop as stop:
        _explain(session.terminal, stop.lead or _lead(stop.code), stop.problems)
        return int(stop.code)
    except Refused as refused:
        _explain(session.terminal, _lead(Exit.INPUT), refused.problems)
        return int(Exit.INPUT)
    except (KeyboardInterrupt, click.Abort):
        session.terminal.note("chaosctl: interrupted")
        return int(Exit.INTERNAL)


def _run(words: list[str], session: Session) -> int:
    from chaosctl.root import root

    try:
        result = root.main(words, "chaosctl", standalone_mode=False, obj=session)
    except click.exceptions.NoArgsIsHelpError as error:
        session.terminal.data(error.ctx.get_help() if error.ctx else "")
        return int(Exit.DONE)
    except click.UsageError as error:
        raise Stop(Exit.INPUT, [Problem("command line", "", error.format_message())]) from None
    return int(result) if isinstance(result, int) else int(Exit.DONE)


def _lead(code: Exit) -> str:
    if code in (Exit.INPUT, Exit.LIMIT):
        return "refused; nothing was touched"
    return "stopped"


def _explain(terminal: Terminal, lead: str, problems: Sequence[Problem]) -> None:
    terminal.note(f"chaosctl: {lead}{':' if problems else ''}")
    heads = [safe(f"{problem.culprit} {problem.value}".strip()) for problem in problems]
    width = min(max(map(len, heads), default=0), 32)
    for head, problem in zip(heads, problems, strict=True):
        terminal.note(f"  {head:<{width}}  {safe(problem.remedy)}")


if __name__ == "__main__":
    sys.exit(main())
