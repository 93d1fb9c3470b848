"""What the database itself guarantees: the budget's last place, terms, an audit log that can't be changed."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from chaos_controller import blast_radius, wire
from chaos_controller.blast_radius import Member
from chaos_controller.experiment import Experiment, Row
from chaos_controller.objections import Objection
from chaos_controller.policy import Policy
from chaos_controller.states import Ended, ExperimentState, Reason, TargetState
from chaos_controller.store import tables
from chaos_controller.store.database import Database, StoreUnavailableError, TermRetiredError
from chaos_controller.store.history import History, StoredPlan
from chaos_controller.store.inventory import Inventory, TokenRecord
from chaos_controller.store.records import AbortRecord, AuditRecord, Records
from chaos_protocol.problems import Refused
from sqlalchemy import delete, insert, update

from tests.controller.conftest import spec

HOSTS = [f"web{number}" for number in range(40)]
REQUEST = wire.request_of(spec("web*"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with forty hosts."""
    url = f"sqlite:///{tmp_path / 'controller.db'}"
    database = Database(url)
    database.create()
    fresh = {"labels": {}, "address": "", "machine_id": "", "enrolled_at": 1, "note": ""}
    with database.write() as connection:
        connection.execute(insert(tables.hosts), [{"name": name, "id": name, **fresh} for name in HOSTS])
    database.close()
    return url


def open_with(url: str, term: int | None = None) -> tuple[Database, History]:
    database = Database(url, term)
    return database, History(database, wire.request_from)


def experiment(*hosts: str, by: str = "operator ada", id_: str = "") -> Experiment:
    name = id_ or "-".join(hosts)
    rows = tuple(Row(f"{name}-{host}", host) for host in hosts)
    return Experiment(f"e-{name}", by, REQUEST, "hash", 1, rows, ExperimentState.RUNNING)


class Cap:
    """A judge with an absolute cap."""

    def __init__(self, most: int, *wanted: str) -> None:
        self.most = most
        self.wanted = wanted

    def __call__(self, members: Sequence[Member]) -> Sequence[Objection]:
        return blast_radius.objections(Policy(hosts_at_once=self.most), members, self.wanted)


def test_many_runs_at_once_never_pass_the_cap(url: str) -> None:
    """Forty threads with connections of their own want one host each of ten: ten get one."""
    admitted: list[str] = []
    refused: list[Reason] = []
    ready = threading.Barrier(len(HOSTS))

    def run(host: str) -> None:
        database, history = open_with(url)
        ready.wait()
        try:
            history.admit(experiment(host), None, Cap(10, host))
            admitted.append(host)
        except Refused as error:
            refused.append(Reason(error.reason))
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(host,)) for host in HOSTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(admitted) == 10
    assert refused == [Reason.BUDGET] * 30


def test_a_run_gets_all_its_targets_or_none(url: str) -> None:
    """What does not fit whole reserves nothing."""
    database, history = open_with(url)

    with pytest.raises(Refused):
        history.admit(experiment("web1", "web2", "web3"), None, Cap(2, "web1", "web2", "web3"))
    members = history.members()
    database.close()

    assert not any(member.unproved for member in members)


def test_only_proof_or_acceptance_frees_budget(url: str) -> None:
    """Presumed clean is still spent."""
    database, history = open_with(url)
    run = experiment("web1", "web2", "web3", "web4")
    history.admit(run, None, Cap(10, *HOSTS[1:5]))
    ends = [TargetState.CLEAN, TargetState.NEVER_STARTED, TargetState.PRESUMED_CLEAN, TargetState.ACCEPTED]
    rows = [Row(row.injection_id, row.host, state=state) for row, state in zip(run.rows, ends, strict=True)]
    history.save([run], rows)

    spent = [member.name for member in history.members() if member.unproved]
    database.close()

    assert spent == ["web3"]


def test_the_fence_refuses_inside_the_transaction(url: str) -> None:
    """Also a controller that has not heard of the abort."""
    database, history = open_with(url)
    records = Records(database)
    records.raise_abort(AbortRecord("a", "fire", "ada", 1))

    with pytest.raises(Refused) as caught:
        history.admit(experiment("web1"), None, Cap(10, "web1"))
    records.lift_aborts(["a"], 2)
    history.admit(experiment("web1"), None, Cap(10, "web1"))
    database.close()

    assert caught.value.reason == Reason.FENCE


def test_a_lifted_abort_stays_lifted(url: str) -> None:
    """Sets merged by union: order and repetition do not matter."""
    database, _ = open_with(url)
    records = Records(database)
    records.raise_abort(AbortRecord("a", "fire", "ada", 1))
    records.lift_aborts(["a"], 2)
    records.raise_abort(AbortRecord("a", "fire", "ada", 3))

    up, lifted = records.aborts_up(), records.aborts_lifted()
    database.close()

    assert (up, lifted) == ([], ["a"])


def test_the_same_key_is_the_same_run(url: str) -> None:
    """For the same caller; another's key is another's."""
    database, history = open_with(url)

    first = history.admit(experiment("web1"), "key", Cap(10, "web1"))
    again = history.admit(experiment("web2"), "key", Cap(10, "web2"))
    others = history.admit(experiment("web3", by="operator bob"), "key", Cap(10, "web3"))
    database.close()

    assert (first, again, others) == (None, "e-web1", None)


def test_a_retired_term_writes_nothing(url: str) -> None:
    """The write of a controller that was replaced fails, whatever it is."""
    old, history = open_with(url)
    old.begin_term()
    history.admit(experiment("web1"), None, Cap(10, "web1"))
    new, _ = open_with(url)
    new.begin_term()

    with pytest.raises(TermRetiredError):
        history.admit(experiment("web2"), None, Cap(10, "web2"))
    with pytest.raises(TermRetiredError):
        history.save([experiment("web1")], [])
    alive = (old.is_live(), new.is_live())
    old.close()
    new.close()

    assert alive == (False, True)


@pytest.mark.parametrize("change", [update(tables.audit).values(who="nobody"), delete(tables.audit)])
def test_the_audit_log_can_only_grow(url: str, change: object) -> None:
    """The database refuses, whoever asks."""
    database, _ = open_with(url)
    Records(database).write_audit([AuditRecord(1, "operator ada", "ipv4", "run", "e", ["web1"])])

    with pytest.raises(StoreUnavailableError, match="append-only"), database.write() as connection:
        connection.execute(change)  # type: ignore[call-overload]
    log = Records(database).read_audit(10)
    database.close()

    assert [(entry.who, entry.hosts, entry.result) for entry in log] == [("operator ada", ["web1"], "done")]


def test_an_experiment_comes_back_as_it_was(url: str) -> None:
    """Every field that counts after a restart."""
    database, history = open_with(url)
    run = experiment("web1")
    history.admit(run, None, Cap(10, "web1"))
    row = Row(
        run.rows[0].injection_id,
        "web1",
        state=TargetState.CLEAN,
        ended=Ended.DURATION,
        note="fine",
        sent=2,
        deadline=9,
        clean_at=7,
        observed={"delay_ns": 1e8},
        facts={"interface": "eth0"},
    )
    history.save([run], [row])

    loaded = history.load(run.id)
    database.close()

    assert loaded is not None
    assert loaded.rows == (row,)
    assert loaded.request == REQUEST
    assert history.load("nope") is None


def test_what_counts_is_loaded_at_start(url: str) -> None:
    """What is not over, or not proved clean; the rest is history."""
    database, history = open_with(url)
    for host in ("web1", "web2", "web3"):
        history.admit(experiment(host), None, Cap(10, host))
    over = [replace(experiment(host), state=ExperimentState.FAILED) for host in ("web2", "web3")]
    rows = [
        Row("web2-web2", "web2", state=TargetState.PRESUMED_CLEAN),
        Row("web3-web3", "web3", state=TargetState.CLEAN),
    ]
    history.save(over, rows)

    kept = sorted(each.id for each in history.load_unforgotten())
    database.close()

    assert kept == ["e-web1", "e-web2"]


def test_a_plan_is_kept_until_it_expires(url: str) -> None:
    """Saving one drops those that have."""
    database, history = open_with(url)
    history.save_plan(StoredPlan("old", b"", [("web1", "1")], "c", 10), now=5)
    history.save_plan(StoredPlan("new", b"", [("web1", "1")], "c", 20), now=11)

    found = (history.plan("old"), history.plan("new"))
    database.close()

    assert found[0] is None
    assert found[1] == StoredPlan("new", b"", [("web1", "1")], "c", 20)


def test_a_token_is_found_by_its_hash_only(url: str) -> None:
    """The secret itself is nowhere."""
    database, _ = open_with(url)
    inventory = Inventory(database)
    inventory.add_token(TokenRecord("hash", "agent", "web1", 9, {"role": "web"}))

    found = inventory.token("hash")
    database.close()

    assert found == TokenRecord("hash", "agent", "web1", 9, {"role": "web"})


def test_a_store_that_is_gone_is_said_so(tmp_path: Path) -> None:
    """Not a traceback of somebody else's."""
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")

    with pytest.raises(StoreUnavailableError, match="unable to open"), database.read():
        pass
