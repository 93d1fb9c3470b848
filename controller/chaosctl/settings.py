"""Where the caller's own files are and which controller is meant. Read once, refused whole when wrong."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos_protocol.problems import Problem

from chaosctl.exits import Exit
from chaosctl.stop import Stop, refuse

CONFIG = "config.yaml"
_KEY = "controller"
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds identity.key, identity.crt, ca.crt and config.yaml; `controller` is host:port."""

    home: Path
    controller: str


def home_of(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the caller's files."""
    if given := environment.get("CHAOSCTL_HOME"):
        return Path(given)
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "chaosctl"


def load(home: Path, controller: str = "") -> Settings:
    """The settings in force; `controller` given on the command line wins over the file."""
    address = controller or _configured(home / CONFIG)
    if not address:
        remedy = "no controller is set; log in with `chaosctl login TOKEN`, or give --controller HOST:PORT"
        raise Stop(Exit.INPUT, [Problem("--controller", "", remedy)])
    return Settings(home, _checked(address))


def _configured(path: Path) -> str:
    import yaml

    try:
        content = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise refuse(str(path), "", f"can't be read ({_one_line(error)}); mend or remove it") from None
    if not isinstance(content, dict):
        raise refuse(str(path), "", "must have keys with values, as controller: host:port")
    problems = [Problem(f"{path}: {key}", "", "is not known; known is controller") for key in content if key != _KEY]
    address = content.get(_KEY, "")
    if not isinstance(address, str):
        problems.append(Problem(f"{path}: {_KEY}", str(address), "must be text, as controller: host:port"))
    if problems:
        raise Stop(Exit.INPUT, problems)
    return str(address)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _checked(address: str) -> str:
    """An address that gRPC would read as something else than host:port is refused."""
    host, _, port = address.rpartition(":")
    well_formed = host and "/" not in address and (":" not in host or host.startswith("["))
    if not well_formed or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= _LAST_PORT:
        remedy = "must be HOST:PORT, as chaos.example.org:7443 or [2001:db8::1]:7443"
        raise Stop(Exit.INPUT, [Problem("--controller", address, remedy)])
    return address


def store(home: Path, controller: str) -> None:
    """Remember the controller."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = home / f".{CONFIG}.new"
    draft.write_text(f"controller: {controller!r}\n")
    draft.rename(home / CONFIG)
