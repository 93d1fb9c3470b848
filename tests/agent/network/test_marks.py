"""How what is ours is known, in the kernel and without any state."""

from chaos_agent.host.netlink import Netlink
from chaos_agent.network import marks

from tests.fakes.latencies import Latencies
from tests.fakes.network import Host

ID = "11111111-2222-3333-4444-555555555555"


def test_device_names_fit_and_differ() -> None:
    """An interface's name has 15 characters; each leg of an injection has its own."""
    names = [marks.device(ID, number) for number in range(marks.MOST_DEVICES)]

    assert len(set(names)) == marks.MOST_DEVICES
    assert {len(name) for name in names} == {15}


def test_every_filter_and_device_bears_the_id(here: Host, latencies: Latencies) -> None:
    """The filter's name, its action's cookie and the ifb's alias say whose they are."""
    running = latencies.inject(here)

    shown = here.tc("filter", "show", "dev", "eth0", "egress")
    assert f"chaos:{running.injection_id}" in shown
    assert f"cookie {running.injection_id.replace('-', '')}" in shown
    assert f"alias chaos:{running.injection_id}" in here.run("ip", "link", "show", "type", "ifb")


def test_finds_its_marks_without_any_state(here: Host, latencies: Latencies) -> None:
    """A scan of the kernel tells which injections have something here, and an id is enough to undo it."""
    running = latencies.inject(here, direction="both")
    before = [running.injection_id]

    with here.inside():
        found = marks.all_marks()
        reverted = type(running)(here, found[0], {**running.undo, "legs": []}, running.held, []).revert()

    assert before == found
    assert reverted.result == "reverted"
    with here.inside(), Netlink() as netlink:
        assert not marks.filters(netlink, running.injection_id)
        assert not marks.devices(netlink, running.injection_id)


def test_others_are_no_marks(here: Host) -> None:
    """An ifb, a clsact and a filter of somebody else's are nobody's injection."""
    here.batch("link add ifb7 type ifb", "link set ifb7 alias somebody")
    here.tc("qdisc", "add", "dev", "eth0", "clsact")

    with here.inside():
        assert marks.all_marks() == []
