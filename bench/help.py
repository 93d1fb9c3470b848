"""How long `chaosctl --help` takes, beside `tc -help` and Python that does nothing.

python -m bench.help
"""

import subprocess
import time

from bench.tables import conditions, spread, table

ROUNDS = 25
COMMANDS = {
    "chaosctl --help": [".venv/bin/chaosctl", "--help"],
    "chaosctl inject latency --help": [".venv/bin/chaosctl", "inject", "latency", "--help"],
    "python -c pass": [".venv/bin/python", "-c", "pass"],
    "tc -help": ["tc", "-help"],
}


def elapsed_ms(command: list[str]) -> float:
    """From start to end of the process."""
    began = time.monotonic()
    subprocess.run(command, capture_output=True, check=False)
    return (time.monotonic() - began) * 1000


def main() -> None:
    conditions(f"{ROUNDS} rounds in turns after one for the caches; median (least–most)")
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(ROUNDS + 1):
        for name, command in COMMANDS.items():
            took = elapsed_ms(command)
            if number:
                found[name].append(took)
    table(["", "ms"], [(name, spread(times, 0)) for name, times in found.items()])


if __name__ == "__main__":
    main()
