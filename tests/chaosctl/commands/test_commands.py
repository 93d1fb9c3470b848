"""The table of commands and the files beside it."""

from pathlib import Path

from chaosctl import commands

HERE = Path(commands.__file__).parent
SOURCE, TESTS = HERE.parent, Path(__file__).parent.parent


def test_every_file_of_commands_is_in_the_table() -> None:
    """A command that help does not list can't be found."""
    listed = {row[3].partition(":")[0].rpartition(".")[2] for row in commands.TABLE}

    assert {path.stem for path in HERE.glob("*.py")} - {"__init__"} == listed


def test_every_module_has_its_tests() -> None:
    """The tree of tests is the table of contents."""
    modules = {path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.stem != "__init__"}

    for module in modules:
        assert (TESTS / module.parent / f"test_{module.stem.strip('_')}.py").exists(), module
