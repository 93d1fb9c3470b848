"""A server that refuses a certificate only closes the socket; what is wrong with it is found on our side."""

from pathlib import Path

import pytest
from chaos_protocol.identity import Identity
from chaosctl.credentials import controller_of, examine, identity_of, load
from chaosctl.exits import Exit
from chaosctl.stop import Stop

from tests.fakes.fake_ca import FakeCa


@pytest.fixture(scope="module")
def ca() -> FakeCa:
    """The fleet's CA."""
    return FakeCa()


def test_good_files_have_no_problem(ca: FakeCa, tmp_path: Path) -> None:
    """An operator's and a viewer's."""
    for role in ("operator", "viewer"):
        assert examine(ca.issue(tmp_path / role, role, "ada")) == []


def test_who_we_are(ca: FakeCa, tmp_path: Path) -> None:
    """Read from the certificate without its library."""
    _, who = load(ca.issue(tmp_path, "operator", "ada"))

    assert who == Identity("lab", "operator", "ada")
    assert controller_of("lab").server_name == "controller.controller.lab.chaos"


@pytest.mark.parametrize(
    ("begins_h", "ends_h", "says"),
    [pytest.param(-5, -1, "expired", id="expired"), pytest.param(1, 5, "is not valid yet", id="too-early")],
)
def test_dates(ca: FakeCa, tmp_path: Path, begins_h: float, ends_h: float, says: str) -> None:
    """With the file as culprit."""
    (problem,) = examine(ca.issue(tmp_path, "operator", "ada", begins_h, ends_h))

    assert problem.culprit == str(tmp_path / "identity.crt")
    assert says in str(problem)


def test_another_issuer(ca: FakeCa, tmp_path: Path) -> None:
    """A CA that did not issue our certificate."""
    home, other = ca.issue(tmp_path / "a", "operator", "ada"), FakeCa().issue(tmp_path / "b", "operator", "ada")
    (home / "ca.crt").write_bytes((other / "ca.crt").read_bytes())

    (problem,) = examine(home)

    assert "was not issued by the CA" in problem.remedy


def test_another_key(ca: FakeCa, tmp_path: Path) -> None:
    """A key that does not belong to the certificate."""
    home, other = ca.issue(tmp_path / "a", "operator", "ada"), ca.issue(tmp_path / "b", "operator", "ada")
    (home / "identity.key").write_bytes((other / "identity.key").read_bytes())

    (problem,) = examine(home)

    assert problem.culprit == str(home / "identity.key")


def test_a_daemons_certificate(ca: FakeCa, tmp_path: Path) -> None:
    """An agent's identity is of no use here."""
    (problem,) = examine(ca.issue(tmp_path, "agent", "web1"))

    assert "people log in as operator or viewer" in problem.remedy


@pytest.mark.parametrize("name", ["identity.key", "identity.crt", "ca.crt"])
def test_a_file_that_is_none(ca: FakeCa, tmp_path: Path, name: str) -> None:
    """Named, with what to do."""
    home = ca.issue(tmp_path, "operator", "ada")
    (home / name).write_text("nonsense")

    (problem,) = examine(home)

    assert "chaosctl login TOKEN" in problem.remedy


def test_not_logged_in(tmp_path: Path) -> None:
    """Every missing file, before anybody is asked."""
    with pytest.raises(Stop) as stop:
        load(tmp_path)

    assert stop.value.code == Exit.INPUT
    assert [Path(problem.culprit).name for problem in stop.value.problems] == ["identity.key", "identity.crt", "ca.crt"]


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_no_identity_in_a_file(pem: bytes) -> None:
    """What is no certificate of a fleet is refused, whatever it is."""
    with pytest.raises(Stop, match="is no certificate of a fleet"):
        identity_of(pem, Path("identity.crt"))
