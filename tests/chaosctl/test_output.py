"""One document, three ways to print it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaosctl.output import as_json, as_yaml, text_of
from chaosctl.render import Page
from chaosctl.session import Session
from chaosctl.terminal import Terminal

DOCUMENT = {"host": "web\x1b[2J\u202eü", "labels": {}, "count": 2}


def page(document: Mapping[str, Any]) -> Page:
    """A page with one line."""
    return [f"host {document['host']}"]


@pytest.mark.parametrize(("text", "read"), [(as_json(DOCUMENT), json.loads), (as_yaml(DOCUMENT), yaml.safe_load)])
def test_programs_read_back_what_was_written(text: str, read: Any) -> None:
    """Keys in their order, values untouched, and not one byte that a terminal would obey."""
    assert read(text) == DOCUMENT
    assert list(read(text)) == list(DOCUMENT)
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("output", "text"),
    [("table", "host web\\x1b[2J\\u202eü"), ("json", as_json(DOCUMENT)), ("yaml", as_yaml(DOCUMENT))],
)
def test_the_format_that_was_asked_for(tmp_path: Path, output: str, text: str) -> None:
    """-o chooses."""
    assert text_of(Session(tmp_path, output, terminal=Terminal({})), DOCUMENT, page) == text
