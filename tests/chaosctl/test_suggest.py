"""An unknown word is met with what was meant."""

import pytest
from chaosctl.commands import TABLE
from chaosctl.suggest import SYNONYMS, command_for, flags_for

COMMANDS = [row[1] for row in TABLE]
FLAGS = {
    "--delay": ["latency", "time", "lag"],
    "--duration": ["length", "timeout"],
    "--to": ["target"],
    "--hosts": ["target"],
}


@pytest.mark.parametrize("word", ["stop", "cancel", "halt", "destroy", "recover", "delete", "kill", "end", "STOP"])
def test_words_of_other_tools_for_ending_mean_abort(word: str) -> None:
    """Whoever wants to end a fault in a hurry is told `abort`, whatever tool they come from."""
    assert command_for(word, COMMANDS) == "abort"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("abrot", "abort", id="typing-error"),
        pytest.param("stat", "status", id="beginning"),
        pytest.param("lift", "fence lift", id="inside-a-group"),
        pytest.param("xyzzy", "", id="nothing-like-it"),
    ],
)
def test_other_commands(word: str, meant: str) -> None:
    """Beginnings and typing errors are understood, nonsense is not guessed at."""
    assert command_for(word, COMMANDS) == meant


def test_synonyms_lead_to_commands_that_exist() -> None:
    """No suggestion sends anybody nowhere, and no synonym hides a command."""
    assert {meant.split()[0] for meant in SYNONYMS.values()} <= set(COMMANDS)
    assert not set(SYNONYMS) & set(COMMANDS)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("--latency", ["--delay"], id="alias"),
        pytest.param("--length", ["--duration"], id="another-alias"),
        pytest.param("--target", ["--to", "--hosts"], id="alias-of-two"),
        pytest.param("--host", ["--hosts"], id="singular"),
        pytest.param("--dur", ["--duration"], id="beginning"),
        pytest.param("--dely", ["--delay"], id="typing-error"),
        pytest.param("--latencyy", ["--delay"], id="typing-error-in-an-alias"),
        pytest.param("--zzz", [], id="nothing-like-it"),
    ],
)
def test_flags(word: str, meant: list[str]) -> None:
    """Aliases come first, then beginnings, then likeness."""
    assert flags_for(word, FLAGS) == meant
