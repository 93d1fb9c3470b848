"""Data on stdout, as a table for people or in the documented shape for programs."""

from collections.abc import Callable, Mapping
from typing import Any

from chaosctl.render import Page, fitted, plain
from chaosctl.session import Session

Paint = Callable[[Mapping[str, Any]], Page]


def emit(session: Session, document: Mapping[str, Any], paint: Paint) -> None:
    """Print one document; `paint` makes the page that `-o table` shows."""
    session.terminal.data(text_of(session, document, paint))


def text_of(session: Session, document: Mapping[str, Any], paint: Paint) -> str:
    """What `emit` prints."""
    if session.output == "json":
        return as_json(document)
    if session.output == "yaml":
        return as_yaml(document)
    page = paint(document)
    if session.terminal.color_on_data:
        import shutil

        return fitted(page, shutil.get_terminal_size().columns)
    return plain(page)


def as_json(document: Mapping[str, Any], indent: int | None = 2) -> str:
    """JSON in ASCII: what names may hide from a terminal stays escaped."""
    import json

    return json.dumps(document, indent=indent)


def as_yaml(document: Mapping[str, Any]) -> str:
    """YAML in ASCII, keys in the documented order."""
    import yaml

    return str(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=False)).rstrip("\n")
