"""The agent's memory on disk."""

import json
from pathlib import Path

import pytest
from chaos_agent.ledger import Ledger
from chaos_agent.records import Record
from chaos_agent.standing import Standing
from chaos_protocol.problems import Refused

RECORD = Record("one", kind="marker", undo={"path": "/tmp/mark"}, boot_id="b", state="injecting", deadline_tick=9)
DAY_NS = 24 * 3600 * 10**9


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state")


def test_an_entry_is_read_back(ledger: Ledger) -> None:
    """The undo is on disk, whole."""
    ledger.enter(RECORD)

    assert dict(ledger.entries()) == {"one": RECORD}


def test_an_end_is_in_history_before_its_entry_goes(ledger: Ledger) -> None:
    """After close the journal is empty and history has the end."""
    ledger.enter(RECORD)

    ledger.close(RECORD)

    assert (dict(ledger.entries()), ledger.history()) == ({}, {"one": RECORD})


@pytest.mark.parametrize("length", range(0, len(json.dumps(RECORD.as_json())), 7))
def test_a_torn_entry_is_named_and_spoils_no_other(ledger: Ledger, length: int) -> None:
    """Cut anywhere, an entry is unreadable at worst; the next one is read."""
    ledger.enter(RECORD)
    path = ledger.folder / "journal/one.json"
    path.write_bytes(path.read_bytes()[:length])
    ledger.enter(Record("two"))

    assert dict(ledger.entries()) == {"one": None, "two": Record("two")}


def test_a_record_of_a_newer_agent_can_be_undone(ledger: Ledger) -> None:
    """Keys that this version does not know must not keep it from undoing."""
    (ledger.folder / "journal/one.json").write_text(json.dumps(RECORD.as_json() | {"colour": "red"}))

    assert dict(ledger.entries()) == {"one": RECORD}


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"generation": "x"}', "[" * 200_000], ids=lambda text: text[:9])
def test_an_unreadable_standing_is_not_taken_for_none(ledger: Ledger, content: str) -> None:
    """Its aborts may have been up: better not to start than to start with the fence forgotten."""
    ledger.write_standing(Standing(generation=3))
    assert ledger.standing() == Standing(generation=3)

    (ledger.folder / "standing.json").write_text(content)

    with pytest.raises(Refused, match=r"standing\.json: can't be read"):
        ledger.standing()


@pytest.mark.parametrize(
    "content",
    ['{"id": null}', '{"id": "../../x"}', '{"id": "two"}', '{"id": "one", "clean_unix_ns": "x"}', "[" * 200_000],
    ids=["no id", "an id elsewhere", "another's id", "a text for a number", "deep"],
)
def test_a_file_that_is_no_record_spoils_nothing_but_itself(ledger: Ledger, content: str) -> None:
    """Whoever wrote it: it leads nowhere else and keeps nobody from starting."""
    (ledger.folder / "journal/one.json").write_text(content)
    (ledger.folder / "history/one.json").write_text(content)

    assert (dict(ledger.entries()), ledger.history()) == ({"one": None}, {"one": Record("one")})


@pytest.mark.parametrize(
    ("acknowledged", "age_ns", "forgotten"),
    [(True, DAY_NS + 1, True), (True, DAY_NS - 1, False), (False, 9 * DAY_NS, False)],
    ids=["old and acknowledged", "young", "nobody has stored it"],
)
def test_an_end_is_kept_until_acknowledged_and_a_day(
    ledger: Ledger, acknowledged: bool, age_ns: int, forgotten: bool
) -> None:
    """A result is not forgotten before somebody has it, nor within a day."""
    record = Record("one", acknowledged=acknowledged, clean_unix_ns=DAY_NS)
    ledger.write_history(record)

    assert ledger.forget_old(record, DAY_NS + age_ns) is forgotten
    assert ledger.history() == ({} if forgotten else {"one": record})


def test_the_folder_is_roots_alone(ledger: Ledger) -> None:
    """Journal and keys are nobody else's."""
    assert ledger.folder.stat().st_mode & 0o777 == 0o700
