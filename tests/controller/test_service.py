"""The API: plans, limits, hosts, access, audit."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from chaos_controller.states import Reason
from chaos_protocol.v1 import agent_pb2, controller_pb2, options_pb2

from tests.controller.conftest import Caller, Lab, spec, states

Running = Callable[..., AbstractAsyncContextManager[Caller]]


def with_policy(lab: Lab, text: str) -> None:
    """The lab's controller gets a policy file."""
    path = Path(lab.config.state.parent / "policy.yaml")
    path.write_text(text)
    lab.config = dataclasses.replace(lab.config, policy=path)


async def plan(operator: Caller, *hosts: str, **asked: object) -> controller_pb2.Plan:
    request = controller_pb2.PlanRequest(spec=spec(*hosts, **asked))
    return await operator.call("MakePlan", request)  # type: ignore[no-any-return]


async def test_a_plan_says_who_is_hit_and_why_the_others_are_not(lab: Lab, running: Running) -> None:
    """Nothing is touched by it."""
    async with running() as operator:
        made = await plan(operator, "web*", selection={"except_hosts": ["web3"]})

    assert [target.host for target in made.targets] == ["web1", "web2"]
    assert {each.host: each.why for each in made.spared} == {
        "db1": "its name does not match web*",
        "web3": "excepted by web3",
    }
    assert not made.problems
    assert not any(agent.starts for agent in lab.agents.values())


async def test_a_draw_can_be_repeated_by_its_seed(lab: Lab, running: Running) -> None:
    """The seed that was used is in the plan's spec."""
    async with running() as operator:
        first = await plan(operator, "*", selection={"percent": "50%"})
        again = await plan(operator, "*", selection={"percent": "50%", "seed": first.spec.selection.seed})

    assert len(first.targets) == 2
    assert [target.host for target in again.targets] == [target.host for target in first.targets]
    assert again.hash == first.hash


async def test_a_plan_is_carried_out_by_its_hash(lab: Lab, running: Running) -> None:
    """For its frozen targets, though another host matches by now."""
    async with running() as operator:
        made = await plan(operator, "*", selection={"labels": ["role=db"]})
        await operator.call("LabelHost", controller_pb2.LabelHostRequest(host="web1", set={"role": "db"}))
        reply = await operator.call("Run", controller_pb2.RunRequest(plan_hash=made.hash))

    assert [target.host for target in reply.experiment.targets] == ["db1"]
    assert reply.experiment.plan_hash == made.hash


async def test_a_plan_names_what_has_changed(lab: Lab, running: Running) -> None:
    """A target that would not be chosen any more is named, and nothing runs."""
    async with running() as operator:
        made = await plan(operator, "*", selection={"labels": ["role=web"]})
        await operator.call("LabelHost", controller_pb2.LabelHostRequest(host="web2", set={"role": "db"}))
        refused = await operator.refused("Run", controller_pb2.RunRequest(plan_hash=made.hash))

    assert [(problem.value, problem.remedy) for problem in refused.problems] == [
        ("web2", "its labels do not match role=web; plan again")
    ]


async def test_a_host_that_cannot_is_named_before_anything_starts(lab: Lab, running: Running) -> None:
    """What an agent objects to is in the plan, with the host's name."""
    lab.agents["web2"].missing = [agent_pb2.Problem(culprit="interface", value="eth9", remedy="there is eth0")]

    async with running() as operator:
        refused = await operator.refused("Run", controller_pb2.RunRequest(spec=spec("web*")))

    assert [str(problem) for problem in refused.problems] == ["web2: interface: eth9: there is eth0"]
    assert refused.reason == Reason.HOST
    assert not any(agent.starts for agent in lab.agents.values())


# asked by, says
SLIPS = [
    pytest.param({"hosts": ["nope*"]}, Reason.INPUT, "matches no host", id="nobody matches"),
    pytest.param({"hosts": []}, Reason.INPUT, "name hosts or labels", id="nothing asked for"),
    pytest.param({"hosts": ["db1"]}, Reason.LAW, "protected by the policy", id="protected by name"),
    pytest.param({"hosts": ["db*"]}, Reason.LAW, "every host that matches is protected", id="protected by glob"),
    pytest.param({"hosts": ["web*"], "count": 4}, Reason.INPUT, "only 3 match", id="more than match"),
    pytest.param({"hosts": ["web*"]}, Reason.BUDGET, "choose fewer hosts", id="more than allowed"),
]


@pytest.mark.parametrize(("selection", "reason", "says"), SLIPS)
async def test_a_selection_is_refused_by_name(
    lab: Lab, running: Running, selection: dict[str, object], reason: Reason, says: str
) -> None:
    """Culprit, value and remedy; nothing is touched."""
    with_policy(lab, "hosts_at_once: 2\nprotected: {hosts: ['db*']}\n")

    async with running() as operator:
        refused = await operator.refused("Run", controller_pb2.RunRequest(spec=spec(selection=selection)))

    assert refused.reason == reason
    assert says in str(refused)


async def test_a_duration_beyond_the_policy_is_refused(lab: Lab, running: Running) -> None:
    """With the longest that is allowed."""
    with_policy(lab, "longest_duration: 10s\n")

    async with running() as operator:
        refused = await operator.refused("Run", controller_pb2.RunRequest(spec=spec("web1", duration="11s")))

    assert [str(problem) for problem in refused.problems] == ["duration: 11s: the policy allows at most 10s"]
    assert refused.reason == Reason.LAW


async def test_the_budget_holds_over_all_experiments(lab: Lab, running: Running) -> None:
    """The refusal prints the sum."""
    with_policy(lab, "hosts_at_once: 2\n")

    async with running() as operator:
        first = await operator.active("web1", "web2")
        refused = await operator.refused("Run", controller_pb2.RunRequest(spec=spec("web3")))
        await operator.abort(experiment_id=first.id)
        await operator.active("web3")

    assert refused.reason == Reason.BUDGET
    assert refused.problems[0].value.startswith("cap 2 hosts = 2; spent 2: web1 under fault (experiment")
    assert refused.problems[0].value.endswith("; asked for 1 more")


async def test_an_accepted_host_gives_its_budget_back(lab: Lab, running: Running) -> None:
    """A person answers for what a lost host did not prove."""
    async with running() as operator:
        experiment = await operator.active("web1")
        await lab.agents["web1"].stop()
        await operator.over(experiment.id)
        request = controller_pb2.AcceptHostRequest(host="web1", reason="rebooted by hand")
        await operator.call("AcceptHost", request)
        over = await operator.call("Show", controller_pb2.ExperimentId(id=experiment.id))

    assert states(over) == {controller_pb2.TARGET_STATE_ACCEPTED}
    assert over.targets[0].accepted_by == "operator ada"


async def test_a_host_under_fault_is_neither_accepted_nor_retired(lab: Lab, running: Running) -> None:
    """What runs is aborted first."""
    async with running() as operator:
        await operator.active("web1")
        refused = await operator.refused("RetireHost", controller_pb2.RetireHostRequest(host="web1", reason="old"))

    assert "chaosctl abort" in str(refused)


async def test_a_retired_host_is_out(lab: Lab, running: Running) -> None:
    """Not listed, not chosen, not counted."""
    async with running() as operator:
        await operator.call("RetireHost", controller_pb2.RetireHostRequest(host="web3", reason="sold"))
        made = await plan(operator, "web*")
        listed = await operator.call("ListHosts", controller_pb2.ListHostsRequest())

    assert [target.host for target in made.targets] == ["web1", "web2"]
    assert [host.name for host in listed.hosts] == ["db1", "web1", "web2"]


async def test_revocation_takes_effect_at_once_and_everywhere(lab: Lab, running: Running) -> None:
    """The controller refuses the certificate, and every host is told."""
    async with running() as operator:
        lab.know_certificate("operator", "bob")
        async with lab.caller(name="bob") as bob:
            await bob.call("ShowFence", controller_pb2.FenceRequest())
            revoke = controller_pb2.RevokeRequest(name="bob", role=options_pb2.ROLE_OPERATOR)
            revoked = await operator.call("Revoke", revoke)
            refused = await bob.refused("ShowFence", controller_pb2.FenceRequest())
        await lab.agents["web1"].until(lambda agent: agent.revoked)

    assert refused.reason == Reason.CALLER
    assert lab.agents["web1"].revoked == set(revoked.revoked)


async def test_every_change_is_in_the_audit_log(lab: Lab, running: Running) -> None:
    """Who, what, on which hosts, and what came of it; refusals too."""
    async with running() as operator:
        experiment = await operator.active("web1", "web2", reason="game day")
        await operator.abort(experiment_id=experiment.id)
        await operator.over(experiment.id)
        await operator.refused("Run", controller_pb2.RunRequest(spec=spec("nope")))
        await lab.stored()
        log = await operator.call("ReadAudit", controller_pb2.AuditRequest())

    entries = [(entry.who, entry.what, list(entry.hosts), entry.result.partition(":")[0]) for entry in log.entries]
    assert ("operator ada", "run", ["web1", "web2"], "running") in entries
    assert ("operator ada", "abort", [], "ordered") in entries
    assert ("controller", "experiment ended", ["web1", "web2"], "aborted") in entries
    assert ("operator ada", "run", [], "refused") in entries


async def test_status_is_the_whole_picture(lab: Lab, running: Running) -> None:
    """Fleet, term, budget, what runs, who asks."""
    async with running() as operator:
        experiment = await operator.active("web1")
        status = await operator.call("GetStatus", controller_pb2.StatusRequest())

    assert (status.fleet, status.term, status.hosts, status.online) == ("lab", 1, 4, 4)
    assert [each.id for each in status.running] == [experiment.id]
    assert status.budget.startswith("cap 10 hosts = 10; spent 1: web1 under fault")
    assert status.you == "chaos://lab/operator/ada"


async def test_a_run_of_the_past_can_be_shown_and_listed(lab: Lab, running: Running) -> None:
    """From the store, after a restart too."""
    async with running() as operator:
        experiment = await operator.run("web1", duration="1s")
        await operator.over(experiment.id)
        async with lab.controller(), lab.caller() as again:
            shown = await again.call("Show", controller_pb2.ExperimentId(id=experiment.id))
            listed = await again.call("ListExperiments", controller_pb2.ListExperimentsRequest(all=True))
            missing = await again.refused("Show", controller_pb2.ExperimentId(id="nope"))

    assert shown.state == controller_pb2.EXPERIMENT_STATE_COMPLETED
    assert dict(shown.targets[0].observed) == {"delay_ns": 1e8}
    assert [each.id for each in listed.experiments] == [experiment.id]
    assert missing.reason == Reason.MISSING
