"""clsact belongs to the interface: the last of ours takes it away, if one of ours made it and nothing is in it."""

from pathlib import Path

from chaos_agent.host.netlink import Netlink
from chaos_agent.network.clsact import ClsactRecord

from tests.fakes.latencies import Latencies
from tests.fakes.network import Host


def has_clsact(host: Host) -> bool:
    return "clsact" in host.tc("qdisc", "show", "dev", "eth0")


def test_the_last_to_leave_takes_it_away(here: Host, latencies: Latencies) -> None:
    """A makes it, B joins, A leaves, B leaves: it goes with B and not before."""
    first = latencies.inject(here, to=["10.1.0.2"])
    second = latencies.inject(here, to=["10.1.0.3"])

    assert first.revert().result == "reverted"
    assert has_clsact(here)
    assert second.revert().result == "reverted"
    assert not has_clsact(here)


def test_a_foreign_one_stays(here: Host, latencies: Latencies) -> None:
    """What somebody else made is joined and left, empty as it may be."""
    here.tc("qdisc", "add", "dev", "eth0", "clsact")
    running = latencies.inject(here)

    assert running.revert().left == ""

    assert has_clsact(here)


def test_ours_stays_while_others_use_it(here: Host, latencies: Latencies) -> None:
    """A filter that somebody put into the clsact we made keeps it there."""
    running = latencies.inject(here)
    words = ("dev", "eth0", "ingress", "protocol", "ip", "u32", "match", "ip", "dst", "10.1.0.9/32", "flowid", "1:1")
    here.tc("filter", "add", *words)

    reverted = running.revert()

    assert reverted.result == "reverted"
    assert "others' filters" in reverted.left
    assert "u32" in here.tc("filter", "show", "dev", "eth0", "ingress")


def test_one_made_anew_after_ours_stays(here: Host, latencies: Latencies) -> None:
    """Somebody removed ours and made their own: it is not ours to take away, and the answer says so."""
    running = latencies.inject(here)
    here.tc("qdisc", "del", "dev", "eth0", "clsact")
    here.tc("qdisc", "add", "dev", "eth0", "clsact")

    reverted = running.revert()

    assert "made anew" in reverted.left
    assert has_clsact(here)


def test_it_stays_in_doubt(here: Host, latencies: Latencies) -> None:
    """Without the record nobody knows who made it: it stays, and the answer says so."""
    running = latencies.inject(here)
    for record in (latencies.folder / "clsact").iterdir():
        record.unlink()

    reverted = running.revert()

    assert (reverted.result, "no record" in reverted.left) == ("reverted", True)
    assert has_clsact(here)


def test_a_crash_between_filter_and_clsact_is_made_good(here: Host, tmp_path: Path) -> None:
    """Who died after deleting the filter has noted that it was ours; the next one takes clsact away."""
    record, injection_id = ClsactRecord(tmp_path), "some-id"
    with here.inside(), Netlink() as netlink:
        with record.lock():
            record.join(netlink, 2, injection_id)
            record.joined(2, injection_id)
        record.leaving(2, injection_id)

        left = record.leave(netlink, 2, injection_id, expected=True)

    assert left == ""
    assert not has_clsact(here)


def test_a_crash_between_clsact_and_filter_is_made_good(here: Host, tmp_path: Path) -> None:
    """Who dies after making clsact and before its filter is in leaves nothing of ours behind."""
    record, injection_id = ClsactRecord(tmp_path), "some-id"
    with here.inside(), Netlink() as netlink:
        with record.lock():
            record.join(netlink, 2, injection_id)

        left = record.leave(netlink, 2, injection_id, expected=True)

    assert left == ""
    assert not has_clsact(here)


def test_a_record_of_another_boot_says_nothing(here: Host, tmp_path: Path) -> None:
    """Interface indexes begin anew with every start of the host."""
    record = ClsactRecord(tmp_path)
    with here.inside(), Netlink() as netlink:
        with record.lock():
            record.join(netlink, 2, "some-id")
        next((tmp_path / "clsact").glob("*.2")).write_text("another boot\nsome-id\n")

        left = record.leave(netlink, 2, "some-id", expected=True)

    assert "no record" in left
    assert has_clsact(here)
