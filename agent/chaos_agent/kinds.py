"""The faults this agent has: whatever lies in `faults/`, found by name."""

import importlib
import pkgutil
from typing import Any

from chaos_agent import faults
from chaos_agent.contract import Fault


def names() -> list[str]:
    """Kinds by the names of their files (`disk_fill` is the kind `disk-fill`)."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(faults.__path__))


def load(kind: str) -> type[Fault]:
    """The class of a kind; `KeyError` when there is none."""
    if kind not in names():
        raise KeyError(kind)
    module: Any = importlib.import_module(f"{faults.__name__}.{kind.replace('-', '_')}")
    fault: type[Fault] = module.FAULT
    return fault
