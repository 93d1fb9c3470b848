"""`audit`: who did what."""

from pathlib import Path

from chaos_protocol.v1 import controller_pb2

from tests.chaosctl.conftest import Run
from tests.fakes.fake_controller import FakeController


def test_nothing_yet(home: Path, run: Run) -> None:
    """Says so."""
    assert run(home, "audit").out == "nothing yet\n"


def test_a_line_an_entry(controller: FakeController, home: Path, run: Run) -> None:
    """Who, from where, what, on which hosts, with what result; names can't write on the terminal."""
    entry = controller_pb2.AuditEntry(
        seq=1,
        at_unix_ns=1769860800 * 10**9,
        who="operator a\x1bda",
        what="inject",
        subject="3f9a",
        hosts=["web1", "web2"],
        result="accepted",
    )
    controller.change(lambda: controller.audit.append(entry))

    result = run(home, "audit", "--limit", "5")

    assert result.out == (
        "AT                    WHO               FROM  WHAT    SUBJECT  HOSTS      RESULT\n"
        "2026-01-31 12:00:00Z  operator a\\x1bda        inject  3f9a     web1,web2  accepted\n"
    )
    assert controller.asked("ReadAudit")[0].limit == 5
