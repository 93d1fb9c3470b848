"""`hosts`: the inventory."""

import json
from pathlib import Path

import pytest
from chaos_protocol import document
from chaos_protocol.v1 import controller_pb2
from chaosctl.commands.hosts import hosts_page
from chaosctl.exits import Exit
from chaosctl.render import plain

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController


def test_the_list() -> None:
    """Contact, labels, what holds the host, what it lacks."""
    hosts = controller_pb2.Hosts()
    hosts.hosts.add(name="web1", online=True, labels={"role": "web"}, injections=["3f9a1c2e"], address="10.0.0.1:7")
    lacking = hosts.hosts.add(name="web2", last_contact_unix_ns=1769860800 * 10**9)
    lacking.kinds.add(kind="latency").missing.add(culprit="sch_netem", remedy="modprobe it")
    hosts.hosts.add(name="web3")

    assert plain(hosts_page(document.write(hosts))) == (
        "HOST  CONTACT                             LABELS    UNDER FAULT  NOTE                   ADDRESS     VERSION\n"
        "web1  online                              role=web  3f9a1c2e                            10.0.0.1:7\n"
        "web2  offline since 2026-01-31 12:00:00Z                         no latency: sch_netem\n"
        "web3  never seen"
    )


def test_a_selection(home: Path, run: Run) -> None:
    """The flags of `inject`; in the shape of the API."""
    for words in (("hosts", "--hosts", "web*"), ("hosts", "list", "--hosts", "web*")):
        reply = json.loads(run(home, *words, "-o", "json").out)

        assert [host["name"] for host in reply["hosts"]] == ["web1", "web2", "web3"]


def test_labels_are_set_and_removed(controller: FakeController, home: Path, run: Run) -> None:
    """key=value sets, key- removes."""
    controller.change(lambda: controller.hosts["web1"].labels.update({"zone": "a"}))

    result = run(home, "hosts", "label", "web1", "role=web", "zone-")

    assert result.code == Exit.DONE
    assert dict(controller.hosts["web1"].labels) == {"role": "web"}


@pytest.mark.parametrize("label", ["web", "=web"])
def test_what_is_no_label(nowhere: Path, run: Run, label: str) -> None:
    """Before anybody is asked."""
    result = run(nowhere, "hosts", "label", "web1", label)

    assert result.code == Exit.INPUT
    assert "must be KEY=VALUE" in result.err


@pytest.mark.parametrize("verb", ["retire", "accept"])
def test_reasons_are_kept(controller: FakeController, home: Path, run: Run, verb: str) -> None:
    """Both go into the audit log with a reason, and not without."""
    assert run(home, "hosts", verb, "db1").code == Exit.INPUT
    assert run(home, "hosts", verb, "db1", "--reason", "gone").code == Exit.DONE

    (request,) = controller.asked(f"{verb.title()}Host")
    assert (request.host, request.reason) == ("db1", "gone")


def test_flags_that_draw_are_none_of_a_list(home: Path, run: Run) -> None:
    """A list is not drawn: a flag that would do nothing is refused, not passed over."""
    result = run(home, "hosts", "--percent", "30%")

    assert result.code == Exit.INPUT
    assert "--percent 30%  is not known" in result.err
