"""Pages for what several commands show: experiments, plans, receipts, hosts' measurements."""

from collections.abc import Iterator, Mapping
from typing import Any

from chaos_protocol import catalogue

from chaosctl import human
from chaosctl.exits import OVER
from chaosctl.render import Page, Sheet

Document = Mapping[str, Any]


def experiment_page(experiment: Document) -> Page:
    """One experiment with every host."""
    return [*_experiment_lines(experiment), "", targets_sheet(experiment)]


def _experiment_lines(experiment: Document) -> Iterator[str]:
    spec = experiment.get("spec", {})
    why = why_ended(experiment)
    yield f"experiment  {experiment.get('id', '')}"
    yield f"state       {state_of(experiment)}{f' ({why})' if why else ''}"
    for fault in spec.get("faults", []):
        yield f"fault       {human.fault_line(fault)}"
    yield f"hosts       {human.selection_line(spec.get('selection', {}))}"
    yield f"duration    {spec.get('duration', '')}, lease {spec.get('lease', '')}"
    for label, key in (("by", "by"), ("plan", "plan_hash"), ("note", "note")):
        if experiment.get(key):
            yield f"{label:<10}  {experiment[key]}"
    if spec.get("reason"):
        yield f"reason      {spec['reason']}"
    times = [(word, human.clock(experiment.get(word, ""))) for word in ("created", "started", "over")]
    if any(when for _, when in times):
        yield "times       " + ", ".join(f"{word} {when}" for word, when in times if when)


def why_ended(experiment: Document) -> str:
    """Why it is over, in words; nothing while it is not."""
    return human.words(experiment.get("ended", ""))


def state_of(row: Document) -> str:
    """The state in words."""
    return human.words(row.get("state", "unknown"))


def targets_sheet(experiment: Document) -> Sheet:
    """Every host of an experiment, for the record."""
    rows = [
        [
            target.get("host", ""),
            state_of(target),
            human.words(target.get("ended", "")),
            "; ".join(measurements(target)),
            human.clock(target.get("active", "")),
            human.clock(target.get("inert", "")),
            human.clock(target.get("clean", "")),
            note_of(target),
        ]
        for target in experiment.get("targets", [])
    ]
    columns = ("HOST", "STATE", "ENDED BY", "ASKED AND SEEN", "ACTIVE", "INERT", "CLEAN", "NOTE")
    return Sheet(columns, rows, empty="no hosts")


def measurements(target: Document) -> list[str]:
    """What was asked and what is seen, as the catalogue lists it: answers to a parameter, then what was counted.

    Counts of nothing say little and are left out, but for the first.
    """
    observed = target.get("observed", {})
    asked: list[str] = []
    counted: list[str] = []
    for arm, parameters in target.get("fault", {}).items():
        kind = catalogue.kinds().get(arm.replace("_", "-"))
        for measure in kind.measures if kind else ():
            if measure.name not in observed:
                continue
            seen = human.measured(measure.unit, observed[measure.name])
            if not measure.of and (observed[measure.name] or not counted):
                counted.append(f"{measure.name.replace('_', ' ')} {seen}")
            elif measure.of and measure.of in parameters and (observed[measure.name] or parameters[measure.of] != "0s"):
                asked.append(f"{measure.of} {parameters[measure.of]}, set {seen}")
    return [*asked, *counted]


def note_of(target: Document) -> str:
    """What a person should know of this host: what is wrong first."""
    notes = []
    if target.get("drift"):
        notes.append(f"drift: {target['drift']}")
    if target.get("reachable") is False and target.get("lease_ends"):
        notes.append(f"unreachable, ends by itself at the latest {human.clock_by_which(target['lease_ends'])}")
    elif target.get("reachable") is False:
        notes.append("unreachable")
    if target.get("note"):
        notes.append(target["note"])
    if target.get("unproven"):
        notes.append(target["unproven"] if target.get("state") == "active" else f"unproven: {target['unproven']}")
    if target.get("accepted_by"):
        notes.append(f"accepted by {target['accepted_by']}")
    return "; ".join(notes)


def experiments_sheet(experiments: list[Document], empty: str) -> Sheet:
    """Many experiments, a line each."""
    return Sheet(("ID", "STATE", "FAULT", "HOSTS", "LEFT", "BY", "CREATED"), list(map(_summary, experiments)), empty)


def _summary(experiment: Document) -> list[str]:
    spec = experiment.get("spec", {})
    hosts = [target.get("host", "") for target in experiment.get("targets", [])]
    names = ",".join(dict.fromkeys(hosts[:3])) + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")
    return [
        human.short_id(experiment.get("id", "")),
        state_of(experiment),
        "; ".join(map(human.fault_line, spec.get("faults", []))),
        names,
        _left(experiment),
        experiment.get("by", ""),
        human.clock(experiment.get("created", "")),
    ]


def _left(experiment: Document) -> str:
    if experiment.get("state") in OVER or not experiment.get("left"):
        return ""
    return human.coarse(human.seconds_of(experiment["left"]))


def receipts_page(report: Document) -> Page:
    """The account of an abort."""
    rows = [[receipt.get("host", ""), state_of(receipt), receipt.get("says", "")] for receipt in report["receipts"]]
    page: list[str | Sheet] = [Sheet(("HOST", "STATE", "RECEIPT"), rows, empty="nothing was running")]
    if report.get("fence_up"):
        page += ["", "the fence is up: nothing new starts until `chaosctl fence lift`"]
    return page


def plan_page(plan: Document) -> Page:
    """Who will be hit, why everyone else will not, and whether it would run now."""
    spec = plan.get("spec", {})
    page: list[str | Sheet] = [f"fault     {human.fault_line(fault)}" for fault in spec.get("faults", [])]
    page.append(f"duration  {spec.get('duration', '')}, lease {spec.get('lease', '')}{_start(spec)}")
    page += _table("will be hit", ("HOST", "HOW", "WHAT IS WRONG"), list(map(_hit, plan.get("targets", []))))
    page += _notes(plan.get("targets", []))
    page += _table("will not", ("HOST", "WHY NOT"), list(map(_spared, plan.get("spared", []))))
    page.append("")
    if plan.get("budget"):
        page.append(f"budget    {plan['budget']}")
    if "seed" in spec.get("selection", {}):
        page.append(f"seed      {spec['selection']['seed']}")
    if plan.get("hash"):
        page.append(f"plan      {plan['hash']}{_until(plan)}")
    if plan.get("problems"):
        problems = Sheet(("CULPRIT", "VALUE", "REMEDY"), list(map(_problem, plan["problems"])))
        page += ["", "it would be refused now:", problems]
    return page


def _table(what: str, columns: tuple[str, ...], rows: list[list[str]]) -> list[str | Sheet]:
    if not rows:
        return ["", f"no host {what}"]
    # A last column that says nothing on any row is left out.
    shown = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    return ["", f"{_hosts(len(rows))} {what}:", Sheet(columns[:shown], [row[:shown] for row in rows])]


def _hosts(count: int) -> str:
    return f"{count} host{'' if count == 1 else 's'}"


def _start(spec: Document) -> str:
    return f", starts in {spec['start_in']}" if human.seconds_of(spec.get("start_in", "")) else ""


def _until(plan: Document) -> str:
    return f" (until {human.clock(plan['expires'])})" if plan.get("expires") else ""


def _hit(target: Document) -> list[str]:
    facts = [f"{key}={value}" for verdict in target["verdicts"] for key, value in verdict.get("facts", {}).items()]
    wrong = [" ".join(_problem(problem)) for verdict in target["verdicts"] for problem in verdict["problems"]]
    return [target.get("host", ""), ", ".join(facts), "; ".join(wrong)]


def _notes(targets: list[Document]) -> list[str | Sheet]:
    """Each note once, with the hosts that it is of where it is not of all."""
    hosts: dict[str, list[str]] = {}
    for target in targets:
        for note in dict.fromkeys(note for verdict in target["verdicts"] for note in verdict.get("notes", [])):
            hosts.setdefault(note, []).append(target.get("host", ""))
    lines = [
        f"  {note}" if len(named) == len(targets) else f"  {', '.join(named)}: {note}" for note, named in hosts.items()
    ]
    return ["", "good to know:", *lines] if lines else []


def _spared(spared: Document) -> list[str]:
    return [spared.get("host", ""), spared.get("why", "")]


def _problem(problem: Document) -> list[str]:
    return [problem.get("culprit", ""), problem.get("value", ""), problem.get("remedy", "")]
