"""`inject FAULT` and `plan FAULT`: commands that the catalogue makes. No fault is named here."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import click
from chaos_protocol import catalogue
from chaos_protocol.catalogue import Kind
from chaos_protocol.problems import Problem

from chaosctl import flags
from chaosctl.commandline import HELP, PROBLEMS, Command, common_flags, parse_leniently, split_at_command, write_flags
from chaosctl.exits import Exit
from chaosctl.scan import Flag, scan
from chaosctl.stop import Stop
from chaosctl.suggest import command_for

Action = Callable[[click.Context, "Asked"], object]


class Asked:
    """What was asked for: an experiment (or nothing), how to run it, and what is wrong with it."""

    def __init__(
        self, spec: dict[str, Any] | None, options: Mapping[str, Any], problems: list[Problem], fault: str = ""
    ) -> None:
        self.spec = spec
        self.fault = fault
        self.options = options
        self._problems = problems

    def check(self, more: list[Problem] | None = None) -> None:
        """Raise every problem at once, before anybody is asked."""
        problems = [*self._problems, *(more or []), *self._wrong_values()]
        if problems:
            raise Stop(Exit.INPUT, problems)

    def _wrong_values(self) -> list[Problem]:
        if self.spec is None:
            return []
        hidden = {problem.culprit for problem in self._problems}
        found = list(flags.problems_of(self.spec))
        if self.options.get("file") is None:
            found = [flags.in_flags(problem) for problem in found]
        return [problem for problem in found if problem.culprit not in hidden]


class FaultCommand(Command):
    """One fault's command: its own flags, then those of every experiment."""

    reports_late = True

    def __init__(self, kind: Kind, verb: str, action: Action, options: list[Flag]) -> None:
        self.kind = kind
        self._action = action
        self.spec_flags = [*flags.flags_of(kind), *flags.shared_flags()]
        super().__init__(
            kind.name,
            params=[*self.spec_flags, *options],
            help=kind.help,
            epilog=f"\b\nExample:\n  chaosctl {verb} {kind.example}",
            context_settings={**HELP, "allow_extra_args": True},
            options_metavar="FLAGS",
        )

    def strangers(self) -> Mapping[str, str]:
        remedy = f"takes the place of a fault; leave out {self.kind.name}, or the flag"
        return {"--file": remedy, "--plan": remedy}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        left = super().parse_args(ctx, args)
        # What is neither a flag nor a value: most often a glob that the shell opened, or a second host.
        remedy = "belongs to no flag; several values: one flag with commas; a glob needs quotes, as --hosts 'web*'"
        ctx.meta[PROBLEMS] += [Problem(word, "", remedy) for word in left]
        return left

    def invoke(self, ctx: click.Context) -> object:
        outer = ctx.parent.params if ctx.parent else {}
        given = {name: ctx.params.get(name) or outer.get(name) for name in {**outer, **ctx.params}}
        spec = flags.document_of(self.spec_flags, given, self.kind.name.replace("-", "_"))
        return self._action(ctx, Asked(spec, given, ctx.meta[PROBLEMS], self.kind.name))


class FaultGroup(click.Group):
    """`inject` or `plan`: a fault's name next, or a file, or a plan."""

    def __init__(
        self,
        verb: str,
        action: Action,
        options: Callable[[], list[Flag]],
        instead: Callable[[], list[Flag]],
        help_text: str,
    ) -> None:
        """`options` go with a fault, too; those of `instead` take a fault's place."""
        super().__init__(
            verb,
            context_settings=HELP,
            callback=click.pass_context(self._without_fault),
            invoke_without_command=True,
            help=help_text,
            options_metavar="[FLAGS]",
            subcommand_metavar="[FAULT FLAGS]",
            epilog=f"\b\nHelp on a fault:\n  chaosctl {verb} FAULT --help",
        )
        self._verb = verb
        self._action = action
        self._options = options
        self._instead = instead

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """The catalogue."""
        return catalogue.kinds()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*self._own_flags, *super().get_params(ctx)]

    @cached_property
    def _own_flags(self) -> list[Flag]:
        return [*flags.shared_flags(), *self._options(), *self._instead(), *common_flags()]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.kinds)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        kind = self.kinds.get(cmd_name)
        return FaultCommand(kind, self._verb, self._action, self._options()) if kind else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ours, theirs = split_at_command(args, self.get_params(ctx), self.kinds)
        found = scan(ours, self.get_params(ctx), flags.elsewhere(self.kinds))
        ctx.meta[PROBLEMS] = found.problems
        return parse_leniently(super().parse_args, ctx, [*found.words, *theirs], found.problems)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.kinds:
            meant = command_for(args[0], self.kinds, {})
            instead = f"did you mean {meant}?" if meant else f"there are: {', '.join(self.kinds)}"
            remedy = f"is no fault; {instead}"
            raise Stop(Exit.INPUT, [*ctx.meta[PROBLEMS], Problem(args[0], "", remedy)])
        return super().resolve_command(ctx, args)

    def _without_fault(self, ctx: click.Context, **given: Any) -> object:
        if ctx.invoked_subcommand is not None:
            return None
        spec = None
        if given.get("file"):
            from chaosctl.specfile import read_file

            spec = _merged(read_file(given["file"]), flags.document_of(self._own_flags, given))
        return self._action(ctx, Asked(spec, given, ctx.meta[PROBLEMS]))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Faults"):
            formatter.write_dl([(kind.name, kind.help) for kind in self.kinds.values()])
        write_flags(self, ctx, formatter)


def _merged(spec: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The file, with what flags say in its place."""
    merged = {**spec, **given}
    if isinstance(spec.get("selection"), dict) and "selection" in given:
        merged["selection"] = {**spec["selection"], **given["selection"]}
    return merged
