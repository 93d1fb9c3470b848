"""Experiments in files: YAML or JSON in the shape of `Spec`, from a path or from standard input."""

import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from chaosctl.stop import refuse


class _Loader(yaml.SafeLoader):
    """Plain values only; a key given twice is refused, where YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {twice[0]!r} is given twice")
        return super().construct_mapping(node, deep)


def read_file(name: str) -> dict[str, Any]:
    """The document in a file; `-` is standard input. Its values are not checked yet."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
        content = yaml.load(text, _Loader)
    except OSError as error:
        raise refuse("--file", name, error.strerror or str(error)) from None
    except (ValueError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise refuse("--file", name, f"is no YAML or JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise refuse("--file", name, "must have keys with values: faults, selection, duration, …")
    return {str(key): value for key, value in content.items()}
