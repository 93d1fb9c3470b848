"""Flags come from descriptors: a fault made up here has its command without a line of code for it."""

from typing import Any

import click
import pytest
from chaos_protocol import catalogue
from chaos_protocol.problems import Problem
from chaosctl.faultline import Asked, FaultCommand
from chaosctl.flags import (
    FieldFlag,
    document_of,
    elsewhere,
    flag_of,
    flags_of,
    in_flags,
    problems_of,
    selection_flags,
    shared_flags,
)
from chaosctl.session import Session

from tests.fakes.made_up_fault import made_up_kind

LATENCY = catalogue.kinds()["latency"]


def help_of(kind: catalogue.Kind) -> str:
    """What --help of a fault's command prints."""
    command = FaultCommand(kind, "inject", lambda *_: None, [])
    return command.get_help(click.Context(command, info_name=f"chaosctl inject {kind.name}"))


def test_every_parameter_has_its_flag() -> None:
    """Named as the field less its unit, with the aliases people try."""
    found = {flag.opts[0]: flag.aliases for flag in flags_of(LATENCY)}

    assert list(found)[:3] == ["--delay", "--jitter", "--reorder"]
    assert "latency" in found["--delay"]


def test_no_fault_takes_a_flag_that_every_experiment_has() -> None:
    """Else one of the two could never be given."""
    shared = {flag.opts[0] for flag in shared_flags()}

    for kind in catalogue.kinds().values():
        assert shared.isdisjoint(flag.opts[0] for flag in flags_of(kind))


def test_every_flag_is_explained() -> None:
    """No parameter without help and example."""
    for flag in [*shared_flags(), *(flag for kind in catalogue.kinds().values() for flag in flags_of(kind))]:
        assert isinstance(flag, FieldFlag)
        assert flag.parameter.help
        assert flag.example


@pytest.mark.parametrize(
    ("given", "document"),
    [
        pytest.param({"faults__latency__delay": ("100ms",)}, {"faults": [{"latency": {"delay": "100ms"}}]}, id="fault"),
        pytest.param({"faults__latency__delay": ("1s", "2s")}, {"faults": [{"latency": {"delay": "2s"}}]}, id="last"),
        pytest.param(
            {"faults__latency__to_port": ("80,443", "5432")},
            {"faults": [{"latency": {"to_port": ["80", "443", "5432"]}}]},
            id="lists-by-commas-and-by-repeating",
        ),
        pytest.param(
            {"selection__hosts": ("web*",), "duration": ("2m",)},
            {"faults": [{"latency": {}}], "selection": {"hosts": ["web*"]}, "duration": "2m"},
            id="where-and-when",
        ),
    ],
)
def test_what_is_given_lands_in_its_place(given: dict[str, Any], document: dict[str, Any]) -> None:
    """The document that flags make is the one that a file would hold."""
    assert document_of([*flags_of(LATENCY), *shared_flags()], given, "latency") == document


@pytest.mark.parametrize(
    ("place", "flag"),
    [
        ("faults[0].latency.delay", "--delay"),
        ("faults[0].latency.to_port[1]", "--to-port"),
        ("selection.except_hosts[0]", "--except-hosts"),
        ("duration", "--duration"),
        ("start_in", "--start-in"),
        # No flag fills these.
        ("faults[0].latency.wrong", ""),
        ("faults[0]", ""),
        ("web1", ""),
        ("policy.max_hosts", ""),
    ],
)
def test_places_are_told_as_flags(place: str, flag: str) -> None:
    """Problems name what was typed; hosts and rules of a policy stay as they are."""
    assert flag_of(place, catalogue.kinds()) == flag


def test_no_hosts_at_all() -> None:
    """Is told with every way to say it, also all."""
    (problem,) = (in_flags(problem) for problem in problems_of({"faults": [{"latency": {"delay": "1s"}}]}))

    assert problem.culprit == "--hosts"
    assert "--labels role=web" in problem.remedy


def test_a_problem_elsewhere_stays() -> None:
    """What the controller says of a host is about that host."""
    problem = Problem("web1", "", "is protected")

    assert in_flags(problem) == problem


def test_selection_flags_choose_hosts() -> None:
    """The same for `inject` and for `hosts`."""
    assert [flag.opts[0] for flag in selection_flags()][:2] == ["--hosts", "--labels"]


def test_flags_of_faults_before_the_fault() -> None:
    """Whoever writes them too early is told where they belong."""
    assert elsewhere(catalogue.kinds())["--delay"] == "belongs behind the fault: latency --delay …"


def test_help_groups_flags() -> None:
    """What, where, when, how: in this order, with units, limits, defaults and an example."""
    text = help_of(LATENCY)

    assert [text.index(word) for word in ("\nWhat:", "\nWhere:", "\nWhen:")] == sorted(
        text.index(word) for word in ("\nWhat:", "\nWhere:", "\nWhen:")
    )
    assert "--delay DURATION" in text
    assert "--reorder forbid|allow" in text
    assert "--fragments yes|no" in text
    assert "default 60s, 1s to 24h" in " ".join(text.split())
    assert "chaosctl inject latency --hosts 'web*' --delay 100ms" in text


def test_a_new_fault_has_its_command() -> None:
    """Its flags, units, limits and example, from its descriptor."""
    text = " ".join(help_of(made_up_kind()).split())

    assert "Fill a disk with nothing." in text
    assert "--size SIZE How much. [required, 1KiB to 1GiB, as 64MiB]" in text
    assert "--mode gentle|rough" in text
    assert "chaosctl inject disk-fog --size 64MiB" in text


def test_a_new_fault_can_be_asked_for() -> None:
    """What is typed becomes the document that its message is read from."""
    asked: list[Asked] = []
    command = FaultCommand(made_up_kind(), "inject", lambda _, one: asked.append(one), [])

    command.main(["--size", "64MiB", "--hosts", "web*"], standalone_mode=False, obj=Session(), parent=parent())

    assert asked[0].spec == {"faults": [{"disk_fog": {"size": "64MiB"}}], "selection": {"hosts": ["web*"]}}


def parent() -> click.Context:
    """The group above a command."""
    return click.Context(click.Command("inject"), obj=Session())
