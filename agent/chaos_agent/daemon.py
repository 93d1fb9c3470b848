"""`chaos-agent run`: one daemon a host."""

import asyncio
import logging
import os
import signal

import grpc.aio
from chaos_protocol import identity, serving
from chaos_protocol.identity import Credentials
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2

from chaos_agent import kinds, undoing
from chaos_agent.config import Config
from chaos_agent.injector import Injector
from chaos_agent.ledger import Ledger
from chaos_agent.records import Ended
from chaos_agent.service import Service

log = logging.getLogger(__name__)
_LAST_WORDS_S = 1.0


async def run(config: Config) -> None:
    """Revert leftovers, then serve until SIGTERM or SIGINT. Raises `Refused` when it can't begin."""
    who = identity.of_certificate(Credentials.load(config.identity).certificate)
    ledger = Ledger(config.state)
    lock = ledger.daemon_lock()
    if not lock.take():
        raise Refused([Problem("state", str(config.state), "another chaos-agent runs on this folder")])
    try:
        injector = Injector(ledger, who.fleet, config.law, config.settings)
    except Refused:
        for record in undoing.leftovers(ledger):  # what can't serve can still clean
            log.info("ended: %s", undoing.undo(ledger, record, Ended.AGENT_RESTART))
        raise
    await asyncio.gather(injector.recover(), *(_probe(kind) for kind in kinds.names()))
    service = Service(who.name, injector)
    server = await _serve(config, service)
    log.info("%s of fleet %s listens on %s", who.name, who.fleet, config.listen)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, injector.stop)
    await injector.run()
    service.close()
    await server.stop(_LAST_WORDS_S)
    log.info("ended; nothing is left on the host" if not injector.live else "ended with work left: %s", *injector.live)


async def _probe(kind: str) -> None:
    """Find out what this host can't do before anybody asks: it takes a while, once."""
    for problem in await asyncio.to_thread(kinds.load(kind).missing):
        log.warning("%s can't be had here: %s", kind, problem)


async def _serve(config: Config, service: Service) -> grpc.aio.Server:
    server = grpc.aio.server(options=serving.OPTIONS)
    server.add_generic_rpc_handlers(
        (serving.handlers(agent_pb2.DESCRIPTOR.services_by_name["Agent"], service, service),)
    )
    try:
        server.add_secure_port(config.listen, serving.server_credentials(config.identity))
    except RuntimeError as error:
        raise Refused([Problem("listen", config.listen, f"can't be bound: {error}")]) from None
    config.socket.unlink(missing_ok=True)
    old = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{config.socket}")
    finally:
        os.umask(old)
    await server.start()
    return server
