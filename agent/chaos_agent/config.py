"""agent.yaml, read once: where the agent lives and the law of the host's owner."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos_protocol import catalogue, document, values, yamlfile
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_config_pb2

from chaos_agent.contract import Settings
from chaos_agent.law import Law, Most

DEFAULT = Path("/etc/chaos-agent/agent.yaml")
_PORT = "7070"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that agent.yaml says, with defaults."""

    state: Path
    listen: str
    advertise: str
    law: Law = field(default_factory=Law)
    settings: Settings = field(default_factory=Settings)

    @property
    def identity(self) -> Path:
        return self.state / "identity"

    @property
    def socket(self) -> Path:
        """The local socket, reached by root alone: its folder is private."""
        return self.state / "agent.sock"


def load(path: Path) -> Config:
    """Read the file (absent: all defaults). Raises `Refused` with every problem in it."""
    content = yamlfile.read(path) if path.exists() else {}
    message = document.with_defaults(document.read(agent_config_pb2.AgentConfig, content or {}))
    law = document.with_defaults(message.limits)
    problems: list[Problem] = []
    config = Config(
        state=Path(message.state),
        listen=message.listen,
        advertise=_with_port(message.advertise or socket.gethostname(), _port_of(message.listen, problems)),
        law=_law(law, problems),
        settings=Settings(
            agent_port=int(_port_of(message.listen, [])),
            protect=tuple(message.protect),
            backlog_cap_bytes=law.most_backlog_bytes,
        ),
    )
    if problems:
        raise Refused(problems)
    return config


def _port_of(listen: str, problems: list[Problem]) -> str:
    port = listen.rpartition(":")[2]
    if port.isascii() and port.isdigit() and 0 < int(port) < 2**16:
        return port
    problems.append(Problem("listen", listen, f"must be ADDRESS:PORT, as [::]:{_PORT}"))
    return _PORT


def _with_port(name: str, port: str) -> str:
    bare_v6 = name.count(":") > 1 and not name.endswith("]") and "]:" not in name
    if bare_v6:
        return f"[{name}]:{port}"
    return name if ":" in name.rpartition("]")[2] else f"{name}:{port}"


def _law(message: agent_config_pb2.Law, problems: list[Problem]) -> Law:
    known = catalogue.kinds()
    for kind in message.kinds:
        if kind not in known:
            problems.append(Problem("limits.kinds", kind, f"known kinds are {', '.join(known)}"))
    return Law(
        kinds=tuple(message.kinds),
        longest_duration_ns=message.longest_duration_ns,
        most_injections=message.most_injections,
        most=dict(filter(None, (_most(key, text, problems) for key, text in message.most.items()))),
        only=_listed("only", message.only, problems),
        never=_listed("never", message.never, problems),
    )


def _parameter(place: str, key: str, problems: list[Problem]) -> tuple[str, catalogue.Parameter] | None:
    kind, _, name = key.partition(".")
    known = catalogue.kinds()
    if kind not in known:
        problems.append(Problem(f"{place}.{key}", "", f"must begin with a kind of fault: {', '.join(known)}"))
        return None
    for parameter in known[kind].parameters:
        if parameter.key == name.replace("-", "_"):
            return kind, parameter
    keys = ", ".join(parameter.key for parameter in known[kind].parameters)
    problems.append(Problem(f"{place}.{key}", "", f"{kind} has {keys}"))
    return None


def _most(key: str, text: str, problems: list[Problem]) -> tuple[tuple[str, str], Most] | None:
    if (found := _parameter("limits.most", key, problems)) is None:
        return None
    kind, parameter = found
    try:
        return (kind, parameter.field.name), Most(
            parameter.key, parameter.unit, values.parse(parameter.unit, text), text
        )
    except ValueError as error:
        problems.append(Problem(f"limits.most.{key}", text, str(error)))
        return None


def _listed(place: str, rules: Mapping[str, str], problems: list[Problem]) -> dict[tuple[str, str], tuple[str, ...]]:
    listed = {}
    for key, text in rules.items():
        if found := _parameter(f"limits.{place}", key, problems):
            listed[found[0], found[1].key] = tuple(item.strip() for item in text.split(","))
    return listed
