"""What all commands have in common."""

import click
import pytest
from chaosctl.commandline import Command, Group, split_at_command
from chaosctl.exits import Exit
from chaosctl.scan import Flag
from chaosctl.session import Session
from chaosctl.stop import Stop

FLAGS = [Flag(["--hosts"]), Flag(["-o", "--output"]), Flag(["--all"], is_flag=True)]


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        pytest.param(["list", "--all"], [], id="command-first"),
        pytest.param(["--hosts", "a", "list"], ["--hosts", "a"], id="a-flag-with-its-value"),
        pytest.param(["--hosts=a", "list"], ["--hosts=a"], id="in-one-word"),
        pytest.param(["--all", "list"], ["--all"], id="a-flag-without-value"),
        pytest.param(["--delay", "1s", "list"], ["--delay", "1s"], id="an-unknown-flag-takes-the-next-word"),
        pytest.param(["--delay", "list"], ["--delay"], id="but-not-a-command"),
        pytest.param(["-ojson", "list"], ["-ojson"], id="short"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_where_the_command_begins(words: list[str], ours: list[str]) -> None:
    """What stands before the command is the group's."""
    assert split_at_command(words, FLAGS, ["list"]) == (ours, words[len(ours) :])


@pytest.mark.parametrize(
    ("words", "output", "controller"),
    [
        pytest.param(["-o", "json", "inner"], "json", "", id="on-the-group"),
        pytest.param(["inner", "-o", "yaml"], "yaml", "", id="on-the-command"),
        pytest.param(["-o", "json", "inner", "-o", "yaml"], "yaml", "", id="the-command-wins"),
        pytest.param(["inner", "--controller", "a:1"], "table", "a:1", id="controller"),
    ],
)
def test_common_flags(words: list[str], output: str, controller: str) -> None:
    """-o and --controller may stand anywhere."""
    session = Session()

    GROUP.main(words, standalone_mode=False, obj=session)

    assert (session.output, session.controller) == (output, controller)


def test_clicks_own_findings_join_the_others() -> None:
    """A bad choice and an unknown flag are one answer."""
    with pytest.raises(Stop) as stop:
        GROUP.main(["inner", "--zzz", "--role", "king"], standalone_mode=False, obj=Session())

    assert stop.value.code == Exit.INPUT
    assert [problem.culprit for problem in stop.value.problems] == ["--zzz", "--role"]


INNER = Command("inner", callback=lambda role: None, params=[Flag(["--role"], type=click.Choice(["a", "b"]))])
GROUP = Group("outer", table=(("Commands", "inner", "Inner.", f"{__name__}:INNER"),))
