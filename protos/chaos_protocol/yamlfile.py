"""Configuration files: YAML read once, or refused in one line. `yaml` is imported late; daemons do not keep it."""

from pathlib import Path

from chaos_protocol.problems import Problem, Refused


def read(path: Path) -> object:
    """What a YAML file holds; `Refused` when it can't be read or is none."""
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise Refused([Problem(str(path), error.strerror or str(error), "must be a file that can be read")]) from None
    # yaml lets through what the constructors of dates and numbers raise, and the depth of the stack.
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        raise Refused([Problem(str(path), " ".join(str(error).split())[:200], "must be YAML")]) from None
