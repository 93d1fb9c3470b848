"""What the daemon may import: its resident memory is a promise, and one careless import is megabytes.

No figure is asserted here; `bench/idle.py` measures them.
"""

import subprocess
import sys
from importlib.metadata import version

import pytest
from chaos_protocol import VERSION

# The command line up to the moment of serving; then every fault, as the first question of a controller loads them.
DAEMON = """
import sys
sys.argv = ["chaos-agent", "--config", sys.argv[1], "run"]
from chaos_agent import __main__
from chaos_agent import daemon, kinds
async def serve(config):
    loaded = [kinds.load(kind) for kind in kinds.names()]
    print(*sorted(name for name, module in sys.modules.items() if module), sep="\\n")
daemon.run = serve
__main__.main()
"""
PACKAGES = {"chaos_agent", "chaos_protocol", "google", "grpc", "typing_extensions"}
# Not the standard library, yet no package of anybody's: what the interpreter, its start-up or Cython leave behind.
INTERPRETER = {"__main__", "_distutils_hack", "cython_runtime", "sitecustomize", "usercustomize"}

# import: what it would cost
FORBIDDEN = {
    "ssl": "4 MB of OpenSSL; gRPC has its own TLS",
    "_hashlib": "3.5 MB of OpenSSL again; the interpreter has a SHA-256 of its own",
    "importlib.metadata": "2 MB, with email and zipfile",
    "click": "1 MB; the command line is read in a process that ends",
    "argparse": "1 MB; as click",
    "yaml": "1 MB; agent.yaml is read in a process that ends",
    "chaos_agent.console": "belongs to the command line",
    "google.protobuf.json_format": "chaos_protocol.document reads and writes documents",
    "ctypes": "0.4 MB; the worker makes the BPF program, not the daemon",
    "chaos_agent.network.held": "the worker holds, not the daemon",
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every module of a daemon that is about to serve."""
    config = tmp_path_factory.mktemp("etc") / "agent.yaml"
    config.write_text("limits:\n  longest_duration: 5m\n")
    done = subprocess.run([sys.executable, "-c", DAEMON, config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_daemon_needs_few_packages(imported: set[str]) -> None:
    """Beside the standard library: gRPC, protobuf and what they need."""
    tops = {name.partition(".")[0] for name in imported}

    foreign = {top for top in tops - sys.stdlib_module_names - INTERPRETER if not top.startswith("_cython_")}

    assert foreign - {"grpc_tools"} == PACKAGES  # gRPC looks for its tools; developers have them, hosts do not


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_daemon_does_without(imported: set[str], name: str) -> None:
    """What the daemon does not need to serve, it does not carry."""
    assert name not in imported


def test_says_its_version_without_looking_it_up() -> None:
    """The constant is what the package was built from."""
    assert version("chaosctl") == VERSION
