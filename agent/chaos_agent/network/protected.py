"""What no network fault touches on this host: the ways in, and what keeps the host on the network."""

from collections.abc import Iterable
from ipaddress import ip_network

from chaos_protocol.problems import Problem

from chaos_agent.contract import Settings
from chaos_agent.host import listeners
from chaos_agent.network.selectors import PROTOCOLS, WITH_PORTS, Network, Protected, number_of

_SSH = 22
_SERVERS = ("sshd", "dropbear", "tinysshd")
_TCP = PROTOCOLS["tcp"]


def gather(settings: Settings, ssh_ports: Iterable[int] | None = None) -> tuple[Protected, list[Problem]]:
    """The agent's port, the ports sshd listens on, and what the host's owner added."""
    ports = {(_TCP, port) for port in (ssh_ports if ssh_ports is not None else listening_ssh_ports())}
    if settings.agent_port:
        ports.add((_TCP, settings.agent_port))
    networks: list[Network] = []
    problems = []
    for entry in settings.protect:
        try:
            _add(entry, ports, networks)
        except ValueError:
            problems.append(Problem("agent.yaml: protect", entry, "write a port as tcp/22 or a network as 10.0.0.0/8"))
    return Protected(frozenset(ports), tuple(networks)), problems


def _add(entry: str, ports: set[tuple[int, int]], networks: list[Network]) -> None:
    word, _, port = entry.partition("/")
    if word in PROTOCOLS:
        if number_of(word) not in WITH_PORTS or not 0 < int(port) < 65536:
            raise ValueError(entry)
        ports.add((number_of(word), int(port)))
    else:
        networks.append(ip_network(entry, strict=False))


def listening_ssh_ports() -> set[int]:
    """Where sshd really listens; port 22 too when anybody does (systemd may hold it for sshd)."""
    ports = listeners.ports_of(lambda program: program in _SERVERS)
    return ports | ({_SSH} & set(listeners.listening().values()))
