"""Who somebody is."""

from pathlib import Path

import pytest
from chaos_protocol import identity
from chaos_protocol.identity import Credentials, Identity
from chaos_protocol.problems import Refused

from tests.fakes.fake_ca import FakeCa


def test_an_identity_is_read_from_its_certificate(tmp_path: Path) -> None:
    """The daemons know who they are without an X.509 library."""
    folder = FakeCa("prod").issue(tmp_path, "agent", "web1")

    assert Identity("prod", "agent", "web1") == identity.of_certificate(Credentials.load(folder).certificate)


@pytest.mark.parametrize(
    "uri",
    [
        "https://lab/agent/web1",
        "chaos://lab/agent",
        "chaos://lab/agent/web1/more",
        "chaos://lab/king/web1",
        "chaos://lab/agent/Web 1",
        "chaos:///agent/web1",
        "chaos://lab/local/root",
    ],
)
def test_what_is_no_identity_is_refused(uri: str) -> None:
    """Only a fleet, a role that has certificates, and a plain name."""
    with pytest.raises(ValueError):
        Identity.parse(uri)


def test_missing_files_are_named_all_at_once(tmp_path: Path) -> None:
    """Whoever has not enrolled is told so, file by file."""
    with pytest.raises(Refused) as refused:
        Credentials.load(tmp_path)

    assert [Path(problem.culprit).name for problem in refused.value.problems] == [
        "identity.key",
        "identity.crt",
        "ca.crt",
    ]
