"""The ways in that no fault touches."""

import pytest
from chaos_agent.contract import Settings
from chaos_agent.network.protected import gather, listening_ssh_ports

from tests.fakes.network import Host


def test_the_agent_and_every_ssh_port() -> None:
    """The agent's own port and those sshd listens on are protected in TCP."""
    protected, problems = gather(Settings(agent_port=7443), ssh_ports={22, 2222})

    assert problems == []
    assert protected.ports == {(6, 22), (6, 2222), (6, 7443)}


# an entry of the host's owner -> ports and networks it adds
ENTRIES = {
    "tcp/8443": ({(6, 8443)}, []),
    "udp/51820": ({(17, 51820)}, []),
    "10.0.0.0/8": (set(), ["10.0.0.0/8"]),
    "fd00::1": (set(), ["fd00::1/128"]),
}


@pytest.mark.parametrize(("entry", "expected"), ENTRIES.items())
def test_what_the_owner_adds(entry: str, expected: tuple[set[tuple[int, int]], list[str]]) -> None:
    """A port with its protocol, or a network."""
    protected, problems = gather(Settings(protect=(entry,)), ssh_ports=())

    assert (problems, (set(protected.ports), [str(network) for network in protected.networks])) == ([], expected)


@pytest.mark.parametrize("entry", ["22", "tcp", "tcp/0", "tcp/65536", "icmp/8", "gre/1", "10.0.0.0/64", "db1"])
def test_an_entry_that_cannot_be_read_is_a_problem(entry: str) -> None:
    """What should protect and does not is never passed over."""
    _, problems = gather(Settings(protect=(entry,)), ssh_ports=())

    if entry == "22":  # an address in its shortest form, as the ipaddress module reads numbers only from int
        assert problems
    assert [problem.value for problem in problems] == [entry]


def test_port_22_counts_whoever_listens(here: Host) -> None:
    """With socket activation it is systemd that listens for sshd."""
    listen = "import socket; s = socket.create_server(('', 22)); print('ready', flush=True); input()"
    server = here.start("python3", "-c", listen)
    assert server.stdout and server.stdout.readline() == "ready\n"

    with here.inside():
        found = listening_ssh_ports()

    server.communicate("\n")
    assert found == {22}


def test_sshd_counts_on_any_port(here: Host) -> None:
    """What is protected is where sshd really listens, in both families."""
    listen = (
        "import ctypes, socket; ctypes.CDLL(None).prctl(15, b'sshd', 0, 0, 0);"
        "a = socket.create_server(('10.1.0.1', 2200));"
        "b = socket.create_server(('fd01::1', 2201), family=socket.AF_INET6);"
        "print('ready', flush=True); input()"
    )
    server = here.start("python3", "-c", listen)
    assert server.stdout and server.stdout.readline() == "ready\n"

    with here.inside():
        found = listening_ssh_ports()

    server.communicate("\n")
    assert found == {2200, 2201}
