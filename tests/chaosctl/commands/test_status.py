"""`status`: the fleet at a glance."""

import json
from pathlib import Path

from chaosctl.commands.status import status_page
from chaosctl.render import plain

from tests.chaosctl.conftest import Run


def test_for_people() -> None:
    """A fence that is up can't be overlooked; warnings of the controller are passed on."""
    fence = {"up": True, "orders": [{"by": "operator ada", "reason": "wrong hosts"}]}
    status = {"fleet": "lab", "hosts": 4, "online": 3, "fence": fence, "warnings": ["the store is full"], "you": "ada"}

    assert plain(status_page(status)) == (
        "fleet    lab, 3 of 4 hosts online\n"
        "fence    UP, nothing new starts (operator ada: wrong hosts)\n"
        "budget   \n"
        "you      ada\n"
        "warning  the store is full\n"
        "\n"
        "nothing runs"
    )


def test_for_programs(home: Path, run: Run) -> None:
    """In the shape of the API."""
    assert json.loads(run(home, "status", "-o", "json").out)["you"] == "operator ada"
