"""The lab keeps what `make help` and `lab` say of it, on both kernels."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
BOOT = CHECKOUT / "tests/lab/boot"
Boot = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["uml", "host"])
def kernel(request: pytest.FixtureRequest) -> str:
    """Each way to have a kernel."""
    return str(request.param)


@pytest.fixture
def settings(kernel: str, tmp_path: Path) -> dict[str, str]:
    """An environment for a lab without daemons, whose results nobody else writes."""
    return os.environ | {"KERNEL": kernel, "AGENTS": "none", "HOSTS": "web1 db1", "LAB_OUT": str(tmp_path)}


@pytest.fixture
def boot(settings: dict[str, str]) -> Boot:
    """Runs a command in a lab of its own."""

    def run(command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BOOT, command], env=settings | more, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_ends_with_the_exit_status_of_the_command(boot: Boot) -> None:
    """What the command says of itself is what the caller learns."""
    assert boot("exit 7").returncode == 7


def test_passes_output_through(settings: dict[str, str]) -> None:
    """Output and errors arrive apart, whole and unchanged."""
    command = r"printf 'a\tb\r\0\n'; seq 20000; echo wrong >&2"

    result = subprocess.run([BOOT, command], env=settings, capture_output=True, timeout=120, check=True)

    assert result.stdout == b"a\tb\r\0\n" + b"".join(b"%d\n" % number for number in range(1, 20001))
    assert result.stderr == b"wrong\n"


def test_gives_no_terminal_where_there_is_none(boot: Boot) -> None:
    """A command whose output goes to a file does not draw for a screen."""
    assert boot("! test -t 1").returncode == 0


def test_leaves_nothing_running(boot: Boot) -> None:
    """What a command left in the background neither outlives it nor holds it up."""
    started = time.monotonic()

    boot("sleep 1000 & sleep 0.1")

    assert time.monotonic() - started < 30


def test_keeps_what_is_in_the_folder_for_results(boot: Boot, tmp_path: Path) -> None:
    """$LAB_OUT survives."""
    boot("echo seen >$LAB_OUT/result")

    assert (tmp_path / "result").read_text() == "seen\n"
    assert [tmp_path / "result"] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kernel", ["uml"])
def test_user_mode_linux_cannot_write_the_machine_s_files(boot: Boot, tmp_path: Path) -> None:
    """Neither through the lab's root nor through a mount made inside."""
    here = tmp_path.with_name("machine")
    here.mkdir()

    boot(f"echo x >{here}/root; mount -t hostfs -o / machine /mnt; echo x >/mnt{here}/mount; ls {here}")

    assert list(here.iterdir()) == []


@pytest.mark.parametrize("kernel", ["host"])
def test_namespaces_leave_the_machine_s_network_alone(boot: Boot) -> None:
    """Interfaces, namespaces and names of the lab are not the machine's."""
    names = Path("/etc/hosts").read_text()

    seen = boot("ls -d /sys/class/net/lab /run/netns/web1; touch /etc/chaos-trace").stdout.split()

    assert seen == ["/run/netns/web1", "/sys/class/net/lab"]
    assert not any(Path(file).exists() for file in [*seen, "/run/lab", "/etc/chaos-trace"])
    assert names == Path("/etc/hosts").read_text()


def test_machines_know_and_reach_each_other(boot: Boot) -> None:
    """Every machine has a name, and reaches the others by it over IPv4 and IPv6."""
    pings = "; ".join(f"lab on gw ping -{family} -c1 -W2 {name}" for name in ("web1", "db1") for family in (4, 6))

    result = boot(f"set -e; {pings}; lab on web1 ping -c1 -W2 controller; lab on db1 hostname")

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("db1\n")


def test_a_host_sees_its_own_network_and_the_control_groups(boot: Boot) -> None:
    """/sys on a host is that of its namespace."""
    result = boot("lab on web1 ls /sys/class/net; lab on web1 ls /sys/fs/cgroup")

    assert result.stdout.split()[:2] == ["eth0", "lo"]
    assert len(result.stdout.split()) > 2


def test_cut_loses_packets_between_a_host_and_the_controller_only(boot: Boot) -> None:
    """A cut path loses both directions in silence; every other path stays."""
    result = boot("""
        reach() { lab on $1 ping -$3 -c1 -W1 $2 >/dev/null && echo "$1 $2" || echo "$1 $2 lost"; }
        lab cut web1
        for family in 4 6; do
            for pair in "controller web1" "web1 controller" "gw web1" "db1 web1" "controller db1"; do
                reach $pair $family
            done
        done
        lab mend web1
        reach controller web1 4
    """)

    cut = ["controller web1 lost", "web1 controller lost", "gw web1", "db1 web1", "controller db1"]
    assert [*cut, *cut, "controller web1"] == result.stdout.splitlines()


def test_a_cut_is_silent(boot: Boot) -> None:
    """A connection over a cut path is neither refused nor reset: it waits."""
    dial = "import socket; socket.create_connection(('web1', 7070), timeout=5)"

    result = boot(f'lab cut web1; lab on controller python3 -c "{dial}"')

    assert result.stderr.splitlines()[-1] == "TimeoutError: timed out"


def test_user_mode_linux_has_netem() -> None:
    """Without KERNEL the lab chooses a kernel that can carry a fault."""
    environment = os.environ | {"AGENTS": "none", "HOSTS": "web1"}
    environment.pop("KERNEL", None)
    slow = "lab on web1 tc qdisc add dev eth0 root netem delay 50ms; lab on gw ping -c2 -i0.2 web1"

    result = subprocess.run([BOOT, slow], env=environment, capture_output=True, text=True, timeout=120, check=True)

    assert 50 <= float(result.stdout.split("time=")[2].split()[0]) < 70


def test_two_labs_at_once_do_not_meet(settings: dict[str, str]) -> None:
    """Side by side, each lab has its machines to itself."""
    command = "lab on web1 touch /run/$MARK; sleep 1; lab on web1 ls /run"
    labs = [
        subprocess.Popen([BOOT, command], env=settings | {"MARK": mark}, stdout=subprocess.PIPE, text=True)
        for mark in ("mark-a", "mark-b")
    ]

    seen = [{word for word in lab.communicate(timeout=120)[0].split() if "mark" in word} for lab in labs]

    assert [{"mark-a"}, {"mark-b"}] == seen


def test_an_interrupt_ends_the_lab(settings: dict[str, str]) -> None:
    """Ctrl-C takes the lab with it, kernel and all."""
    lab = subprocess.Popen(
        [BOOT, "echo up; sleep 1000"], env=settings, stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert lab.stdout is not None
    with lab.stdout:
        assert lab.stdout.readline() == "up\n"

        os.killpg(lab.pid, signal.SIGINT)

        assert lab.wait(timeout=20) == 130
        assert lab.stdout.read() == ""


def test_a_shell_on_a_terminal(settings: dict[str, str]) -> None:
    """Without a command there is a shell that has the terminal: Ctrl-C ends what runs in it, not the lab."""
    master, slave = pty.openpty()
    lab = subprocess.Popen(["setsid", "--ctty", "--wait", BOOT], env=settings, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)

    wait_for(master, "lab:")
    os.write(master, b"lab on web1 sleep 1000\n")
    wait_for(master, "sleep 1000")
    time.sleep(1)
    os.write(master, b"\x03")
    os.write(master, b"expr 6 '*' 7; exit\n")
    wait_for(master, "42\r\n")

    assert lab.wait(timeout=20) == 0
    os.close(master)


def wait_for(terminal: int, text: str) -> None:
    """Read until the text was seen; a lab that never says it ends the test by EIO or by pytest's patience."""
    seen = ""
    while text not in seen:
        seen += os.read(terminal, 4096).decode(errors="replace")


def test_the_fleet_is_ready_when_the_command_starts(settings: dict[str, str]) -> None:
    """Every host is enrolled, labelled and on line, and the caller is an operator."""
    result = boot_fleet(settings, "chaosctl hosts")

    assert [line.split()[:3] for line in result.stdout.splitlines()[1:]] == [
        ["db1", "online", "role=db"],
        ["web1", "online", "role=web"],
    ]


def test_daemons_can_be_stopped_killed_and_started(settings: dict[str, str]) -> None:
    """A daemon has a process id, ends when told to or killed, and starts anew."""
    result = boot_fleet(
        settings,
        """
        first=$(lab pid web1)
        lab stop web1
        lab pid web1 || echo stopped
        lab start web1
        kill -9 $(lab pid controller)
        sleep 1
        lab start controller
        lab ready
        [[ $(lab pid web1) != $first ]] && echo another
        lab logs web1 | grep --count listens
        """,
    )

    assert result.stdout.splitlines() == ["stopped", "another", "2"], result.stderr


def boot_fleet(settings: dict[str, str], command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a lab with agents and a controller."""
    return subprocess.run(
        [BOOT, command], env=settings | {"AGENTS": "all"}, capture_output=True, text=True, timeout=180, check=False
    )
