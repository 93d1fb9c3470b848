"""What every fault of the catalogue keeps, whatever it does."""

import subprocess
import sys
from pathlib import Path

import pytest
from chaos_agent import kinds
from chaos_protocol import catalogue

CONFORMANCE = Path(__file__).parent.parent / "fakes/conformance.py"
KINDS = list(catalogue.kinds())


def test_the_catalogue_and_the_folder_name_the_same_faults() -> None:
    """`ls faults/` is the list of features."""
    assert sorted(KINDS) == kinds.names()


@pytest.mark.parametrize("kind", KINDS)
def test_leaves_the_host_as_found(kind: str) -> None:
    """Revert is harmless before inject and twice; inject then revert leaves links, qdiscs, filters and files as found.

    On a host of its own: network and mount namespaces made for this test.
    """
    command = ["unshare", "--net", "--mount", sys.executable, str(CONFORMANCE), kind]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", KINDS)
def test_says_what_it_needs_and_measures(kind: str) -> None:
    """The catalogue tells a person what a host must have, and what will be measured."""
    known = catalogue.kinds()[kind]

    assert known.help and known.needs and known.example.startswith(kind)
    assert {measure.of for measure in known.measures} - {""} <= {parameter.key for parameter in known.parameters}
