"""Pages of lines and tables as text: aligned columns for pipes, coloured and fitted ones for terminals."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaosctl.terminal import safe

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_STYLES: Mapping[str, str] = {
    **dict.fromkeys(["clean", "completed", "online", "never started", "down"], "green"),
    **dict.fromkeys(["active", "running", "told", "reserved", "waiting"], "yellow"),
    **dict.fromkeys(["ending", "reverting", "aborted", "accepted"], "cyan"),
    **dict.fromkeys(["failed", "presumed clean", "offline", "up", "unreachable"], "bold red"),
}


@dataclass(frozen=True)
class Sheet:
    """A table. `empty` stands in its place when it has no rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = ""


Page = Sequence[str | Sheet]


def plain(page: Page) -> str:
    """The page as text without colour, as wide as it needs to be."""
    return "\n".join(_plain_sheet(part) if isinstance(part, Sheet) else safe(part) for part in page)


def _plain_sheet(sheet: Sheet) -> str:
    if not sheet.rows:
        return sheet.empty
    rows = [list(sheet.columns), *([safe(cell) for cell in row] for row in sheet.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def fitted(page: Page, width: int) -> str:
    """The page for a terminal: coloured, and folded to its width."""
    from rich.console import Console

    sink = io.StringIO()
    console = Console(file=sink, width=width, force_terminal=True, color_system="standard", highlight=False)
    for part in page:
        if isinstance(part, str):
            console.print(safe(part), markup=False, soft_wrap=True)
        elif part.rows:
            console.print(table_of(part))
        else:
            console.print(part.empty, markup=False)
    return sink.getvalue().rstrip("\n")


def table_of(sheet: Sheet) -> Table:
    """The sheet as rich draws it: no boxes, states in colour."""
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in sheet.columns:
        table.add_column(column, overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(cell_of, row))
    return table


def cell_of(text: str) -> Text:
    """One cell; a state has its colour, and colour never says what the word does not."""
    from rich.text import Text

    shown = safe(text)
    return Text(shown, style=_STYLES.get(shown, ""))
