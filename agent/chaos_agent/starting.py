"""How `chaos-agent run` becomes the daemon without what reads command lines and YAML: 2 MB that would stay for life.

A child reads them and hands the configuration over; its memory goes with it. No thread and no gRPC is there yet, so a
plain fork is safe, and the daemon has the process id that was started.
"""

import os
import pickle
import sys
from typing import NoReturn

from chaos_agent.config import Config


def run() -> None:
    """Serve until told to stop; ends with the console's own status where that asked for something else."""
    config = _read()
    import asyncio

    from chaos_protocol import jsonlog

    from chaos_agent import daemon
    from chaos_agent.host import process

    jsonlog.start()
    process.protect_from_the_oom_killer()
    asyncio.run(daemon.run(config))


def _read() -> Config:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _tell(writer)
    os.close(writer)
    with open(reader, "rb") as told:  # noqa: PTH123
        said = told.read()
    _, status = os.waitpid(child, 0)
    if not said:
        sys.exit(os.waitstatus_to_exitcode(status))
    config: Config = pickle.loads(said)
    return config


def _tell(writer: int) -> NoReturn:
    from chaos_agent import console

    with open(writer, "wb") as parent:
        console.main(obj=lambda config: parent.write(pickle.dumps(config)))
    raise AssertionError("the console ends its process")
