"""The shape of every command: options that all of them take, problems all at once, commands loaded when called."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import click
from chaos_protocol.problems import Problem

from chaosctl import session, suggest
from chaosctl.exits import Exit
from chaosctl.scan import Flag, scan
from chaosctl.stop import Stop

PROBLEMS = "chaosctl.problems"
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def common_flags() -> list[Flag]:
    """What every command takes."""
    return [
        Flag(
            ["-o", "--output"],
            type=click.Choice(session.FORMATS),
            aliases=["format", "out"],
            expose_value=False,
            callback=_set_output,
            heading="Everywhere",
            help="How data is printed on stdout. The default is table.",
        ),
        Flag(
            ["--controller"],
            metavar="HOST:PORT",
            aliases=["server", "address", "endpoint"],
            expose_value=False,
            callback=_set_controller,
            heading="Everywhere",
            help="The controller to speak to, instead of the one you logged in at.",
        ),
    ]


def _set_output(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        session.of(context).output = value


def _set_controller(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        session.of(context).controller = value


class Command(click.Command):
    """A command that reports every problem of its words at once. `run` is the function behind it."""

    reports_late = False

    def __init__(self, name: str | None = None, **attributes: Any) -> None:
        attributes.setdefault("context_settings", HELP)
        super().__init__(name, **attributes)
        self.params += common_flags()

    def strangers(self) -> Mapping[str, str]:
        """Flags that people write here and that belong elsewhere, each with where that is."""
        return {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        found = scan(args, self.get_params(ctx), self.strangers())
        left = parse_leniently(super().parse_args, ctx, found.words, found.problems)
        ctx.meta.setdefault(PROBLEMS, []).extend(found.problems)
        if found.problems and not self.reports_late and not ctx.resilient_parsing:
            raise Stop(Exit.INPUT, found.problems)
        return left

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_flags(self, ctx, formatter)


def parse_leniently(parse: Any, ctx: click.Context, words: list[str], problems: list[Problem]) -> list[str]:
    """Let click read; what it finds wrong joins the other problems."""
    try:
        return list(parse(ctx, words))
    except click.exceptions.NoArgsIsHelpError:
        if not problems:
            raise
        return []
    except click.UsageError as error:
        problems.append(_problem_of(error))
        return []


def _problem_of(error: click.UsageError) -> Problem:
    parameter = error.param if isinstance(error, click.BadParameter) else None
    if parameter is None:
        return Problem("command line", "", error.format_message().rstrip("."))
    if isinstance(parameter, click.Argument):
        name = parameter.make_metavar(error.ctx or click.Context(click.Command("")))
    else:
        name = parameter.opts[-1]
    if isinstance(error, click.MissingParameter):
        example = getattr(parameter, "example", "")
        return Problem(name, "", f"is required{f', as {name} {example}' if example else ''}")
    return Problem(name, "", error.message.rstrip("."))


def write_flags(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The flags of a command under their headings, in the order in which the headings first appear."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
        if record:
            heading = getattr(parameter, "heading", "") or ("Everywhere" if "--help" in parameter.opts else "Options")
            groups.setdefault(heading, []).append(record)
    for heading, records in groups.items():
        with formatter.section(heading):
            formatter.write_dl(records, col_max=34)


class Group(click.Group):
    """A group whose commands are loaded when they are called: `table` has (heading, name, help, module:attribute)."""

    def __init__(
        self,
        name: str | None = None,
        table: Sequence[tuple[str, str, str, str]] = (),
        synonyms: Mapping[str, str] = suggest.SYNONYMS,
        **attributes: Any,
    ) -> None:
        attributes.setdefault("context_settings", HELP)
        super().__init__(name, **attributes)
        self.params += common_flags()
        self.table = {row[1]: row for row in table}
        self.synonyms = synonyms

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][3].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ours, theirs = split_at_command(args, self.get_params(ctx), self.list_commands(ctx))
        found = scan(ours, self.get_params(ctx))
        left = parse_leniently(super().parse_args, ctx, [*found.words, *theirs], found.problems)
        if found.problems and not ctx.resilient_parsing:
            raise Stop(Exit.INPUT, found.problems)
        return left

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None:
            raise Stop(Exit.INPUT, [Problem(args[0], "", self.remedy_for(ctx, args[0]))])
        return super().resolve_command(ctx, args)

    def remedy_for(self, ctx: click.Context, word: str) -> str:
        """What to write instead of an unknown command."""
        if meant := suggest.command_for(word, self.list_commands(ctx), self.synonyms):
            return f"is no command; did you mean `{ctx.command_path} {meant}`?"
        return f"is no command; `{ctx.command_path} --help` lists them"

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        write_flags(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for heading, name, text, _ in self.table.values():
            groups.setdefault(heading, []).append((name, text))
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def split_at_command(
    words: Sequence[str], parameters: Sequence[click.Parameter], commands: Iterable[str]
) -> tuple[list[str], list[str]]:
    """The group's own flags with their values, and everything from the command on.

    A flag that we don't know takes the next word along, unless that is a command: so the problem is the flag alone.
    """
    options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    valued = {name for option in options if not option.is_flag for name in option.opts}
    known = {name for option in options for name in option.opts}
    names = set(commands)
    index = 0
    while index < len(words) and words[index].startswith("-") and words[index] not in ("-", "--"):
        word, following = words[index], words[index + 1] if index + 1 < len(words) else ""
        stray = word not in known and "=" not in word and following not in names and not following.startswith("-")
        index += 2 if word in valued or (stray and word.startswith("--")) else 1
    return list(words[:index]), list(words[index:])
