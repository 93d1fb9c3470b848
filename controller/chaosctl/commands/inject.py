"""`inject` and `plan`: the same words, carried out or only computed."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from chaos_protocol import catalogue
from chaos_protocol.problems import Problem

from chaosctl import flags, session, views
from chaosctl.exits import Exit, exit_of_refusal
from chaosctl.faultline import Asked, FaultGroup
from chaosctl.flags import RUN
from chaosctl.following import KEEPALIVE_S, Following
from chaosctl.output import emit
from chaosctl.scan import Flag
from chaosctl.session import Session
from chaosctl.stop import Stop

T = TypeVar("T")


def _file_flag() -> Flag:
    return Flag(
        ["--file", "-f"],
        heading=RUN,
        metavar="FILE|-",
        example="experiment.yaml",
        aliases=["filename", "from-file", "config"],
        help="Read the experiment from YAML or JSON instead; other flags win over it.",
    )


def _run_flags() -> list[Flag]:
    return [
        Flag(
            ["--detach"],
            is_flag=True,
            heading=RUN,
            aliases=["background", "no-wait", "async"],
            help="Print the experiment and leave; it goes on without this command.",
        ),
        Flag(
            ["--dry-run"],
            is_flag=True,
            heading=RUN,
            aliases=["check", "simulate", "preview"],
            help="Show the plan and touch nothing; the same as `chaosctl plan`.",
        ),
    ]


def _plan_flag() -> Flag:
    return Flag(
        ["--plan", "plan_hash"],
        heading=RUN,
        metavar="HASH",
        example="the hash that `chaosctl plan` printed",
        help="Run exactly that plan, the very hosts that it shows.",
    )


def _inject(context: click.Context, asked: Asked) -> Exit:
    here = session.of(context)
    asked.check(_misfits(asked))
    if asked.options.get("dry_run"):
        return _show_plan(here, asked)
    here.client.status()  # so that whatever fails from now on, it is not for want of a connection
    key, plan_hash = str(uuid.uuid4()), asked.options.get("plan_hash") or ""
    if asked.options.get("detach"):
        reply = _in_flags(lambda: here.client.run(asked.spec, plan_hash, key))
        emit(here, reply["experiment"], views.experiment_page)
        return Exit.DONE
    return _in_foreground(here, asked.spec, plan_hash, key)


def _in_foreground(here: Session, spec: dict[str, Any] | None, plan_hash: str, key: str) -> Exit:
    from chaosctl.follow import Follower
    from chaosctl.live import screen

    following = Following(owner=True)
    keepalive = f"{KEEPALIVE_S:.0f}s"
    with screen(here.terminal) as view:
        follower = Follower(
            here.client, following, view, lambda client: client.run(spec, plan_hash, key, keepalive), str(uuid.uuid4())
        )
        finish = _in_flags(follower.follow)
    if following.identifier:
        emit(here, _last(here, following, finish.code), views.experiment_page)
    here.terminal.note(finish.text)
    return finish.code


def _last(here: Session, following: Following, code: Exit) -> Mapping[str, Any]:
    """The experiment as it ended; as last heard of when the controller is in no state to say."""
    if code == Exit.UNPROVED:
        return following.experiment
    try:
        return here.client.show(following.identifier)
    except Stop:
        return following.experiment


def _show_plan(here: Session, asked: Asked) -> Exit:
    plan = _in_flags(lambda: here.client.plan(asked.spec or {}))
    emit(here, plan, lambda shown: views.plan_page(_told_of_flags(shown) if asked.fault else shown))
    if plan["problems"]:
        here.terminal.note("chaosctl: this plan would be refused now")
        return exit_of_refusal(plan.get("reason", ""))
    here.terminal.note(f"run exactly this with: chaosctl inject --plan {plan.get('hash', '')}")
    return Exit.DONE


def _told_of_flags(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    culprits = [flags.told_as(problem.get("culprit", "")) for problem in plan["problems"]]
    problems = [{**problem, "culprit": culprit} for problem, culprit in zip(plan["problems"], culprits, strict=True)]
    return {**plan, "problems": problems}


def _in_flags(call: Callable[[], T]) -> T:
    """What the controller refuses is told of the flags, too."""
    try:
        return call()
    except Stop as stop:
        stop.problems = tuple(map(flags.in_flags, stop.problems))
        raise


def _misfits(asked: Asked) -> list[Problem]:
    """Ways to say what to run that do not go together."""
    options = asked.options
    sources = {asked.fault: asked.fault, "--file": options.get("file"), "--plan": options.get("plan_hash")}
    given = [name for name, value in sources.items() if value]
    if not given:
        remedy = f"say what to inject: one of {', '.join(catalogue.kinds())}, or --file FILE, or --plan HASH"
        return [Problem("FAULT", "", remedy)]
    problems = [Problem(other, "", f"goes not together with {given[0]}; give one of them") for other in given[1:]]
    if options.get("detach") and options.get("dry_run"):
        problems.append(Problem("--detach", "", "goes not together with --dry-run; give one of them"))
    if options.get("plan_hash"):
        fixed = [flag.opts[0] for flag in flags.shared_flags() if options.get(flag.name or "")]
        fixed += ["--dry-run"] if options.get("dry_run") else []
        problems += [Problem(flag, "", "is fixed by the plan; leave it out, or plan anew") for flag in fixed]
    return problems


def _plan(context: click.Context, asked: Asked) -> Exit:
    here = session.of(context)
    asked.check(_misfits(asked))
    return _show_plan(here, asked)


command = FaultGroup(
    "inject",
    _inject,
    _run_flags,
    lambda: [_plan_flag(), _file_flag()],
    "Inject a fault into chosen hosts, and undo it.",
)
plan = FaultGroup(
    "plan", _plan, list, lambda: [_file_flag()], "Show who would be hit and why everyone else would not; touch nothing."
)
