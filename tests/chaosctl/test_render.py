"""Pages as text."""

from chaosctl.render import Page, Sheet, fitted, plain

SHEET = Sheet(("HOST", "STATE"), [["web1", "clean"], ["a-longer-name", "active"]])


def test_plain_columns_are_aligned_and_bare() -> None:
    """For pipes: no colour, no box, no trailing space, and no limit to the width."""
    assert plain(["head", "", SHEET]) == (
        "head\n"
        "\n"
        "HOST           STATE\n"
        "web1           clean\n"
        "a-longer-name  active"
    )  # fmt: skip


def test_an_empty_table_says_so() -> None:
    """Never a heading with nothing below."""
    assert plain([Sheet(("HOST",), [], empty="no host matches")]) == "no host matches"


def test_names_are_neutralised() -> None:
    """A host's name can't write on the operator's terminal, in cells or in lines."""
    page: Page = ["\x1b[2J", Sheet(("HOST",), [["web\x1b[31m"]])]

    assert "\x1b" not in plain(page)


def test_names_are_neutralised_for_terminals() -> None:
    """Also where colours are ours to use, and markup of rich is plain text."""
    shown = fitted(["[red]x[/red]", Sheet(("HOST",), [["\x1b[2J[bold]"]])], 80)

    assert "\x1b[2J" not in shown
    assert "[red]x[/red]" in shown
    assert "\\x1b[2J[bold]" in shown


def test_states_have_their_colour_on_a_terminal() -> None:
    """Clean is green, and what is not proved stands out."""
    shown = fitted([Sheet(("STATE",), [["clean"], ["presumed clean"]])], 80)

    assert "\x1b[32mclean" in shown
    assert "\x1b[1;31mpresumed clean" in shown


def test_a_narrow_terminal_folds_and_loses_nothing() -> None:
    """Nothing is cut with dots: an id or a name that is not whole is worth nothing."""
    shown = fitted([Sheet(("NOTE",), [["abcdefghijklmnopqrstuvwxyz"]])], 10)

    assert "abcdefghijklmnopqrstuvwxyz" in "".join(shown.split())
