"""Labels as typed."""

import pytest
from chaosctl.pairs import pairs_of


def test_pairs() -> None:
    """A value may hold anything, also nothing and another =."""
    assert pairs_of("--label", ["role=web", "note=a=b", "empty="]) == ({"role": "web", "note": "a=b", "empty": ""}, [])


@pytest.mark.parametrize("text", ["web", "=web", ""])
def test_no_pair(text: str) -> None:
    """What is no pair is named, and the others are still read."""
    pairs, problems = pairs_of("--label", [text, "role=web"])

    assert pairs == {"role": "web"}
    assert [(problem.culprit, problem.value) for problem in problems] == [("--label", text)]
