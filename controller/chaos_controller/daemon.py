"""`chaos-controller run`: puts the parts together and keeps them until SIGTERM."""

import asyncio
import contextlib
import logging
from functools import partial

import grpc.aio
from chaos_protocol import catalogue, serving
from chaos_protocol.identity import Credentials
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import controller_pb2

from chaos_controller import ca, enrolment, playbook, policy, timing, wire
from chaos_controller.abort import Aborts
from chaos_controller.auditing import Auditor
from chaos_controller.config import Config
from chaos_controller.fence import Fence
from chaos_controller.fleet import Fleet
from chaos_controller.gate import Gate
from chaos_controller.hands import Hands
from chaos_controller.launch import Launch
from chaos_controller.office import Desk, Office
from chaos_controller.planner import Planner
from chaos_controller.policy import Policy
from chaos_controller.runner import Runner
from chaos_controller.saver import Saver
from chaos_controller.service import Service
from chaos_controller.session import Post, Session
from chaos_controller.store.database import Database, StoreUnavailableError, TermRetiredError
from chaos_controller.store.history import History
from chaos_controller.store.inventory import Inventory
from chaos_controller.store.records import Records
from chaos_controller.store.thread import StoreThread
from chaos_controller.tasks import Tasks

log = logging.getLogger(__name__)
_LAST_WORDS_S = 0.5
_HOUSEKEEPING_S = 2.0
_CONTACTS_EVERY = 30
_KEEPALIVE = (
    # A caller behind a dead path must be noticed, for its open watch keeps its experiment alive.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class Daemon:
    """One controller. `run` returns when it was told to stop, or when another one took over (`superseded`)."""

    def __init__(self, config: Config, limits: Policy, database: Database) -> None:
        self.config = config
        self.superseded = False
        self.api_port = self.enrol_port = 0
        self.started = asyncio.Event()
        self.parts: Service | None = None
        self._limits = limits
        self._database = database
        self._stop = asyncio.Event()
        self._now = timing.steady_clock()
        self._reading, self._writing = StoreThread("store-read"), StoreThread("store-write")
        self._history = History(database, wire.request_from)
        self._inventory, self._records = Inventory(database), Records(database)

    def stop(self) -> None:
        """End; what runs is left to its leases, and is taken up by the next start."""
        self._stop.set()

    def _retired(self) -> None:
        if not self.superseded:
            log.error("another controller has started on this store; this one must not go on")
        self.superseded = True
        self._stop.set()

    async def run(self) -> None:
        """Serve until stopped. Raises `Refused` when it can't begin."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = Tasks(group)
                try:
                    await self._serve(tasks)
                finally:
                    tasks.cancel_all()
        except* Refused as refusals:
            raise refusals.exceptions[0] from None
        except* StoreUnavailableError as failures:
            raise Refused([Problem("store", self.config.database_url, str(failures.exceptions[0]))]) from None
        finally:
            self._writing.close()
            self._reading.close()
            self._database.close()

    async def _serve(self, tasks: Tasks) -> None:
        self.parts = parts = await self._build(tasks)
        servers = self._listeners(parts)
        try:
            await self._serve_until_stopped(tasks, parts, servers)
        finally:
            await asyncio.gather(*(server.stop(_LAST_WORDS_S) for server in servers))
        await self._farewell(parts)

    async def _serve_until_stopped(self, tasks: Tasks, parts: Service, servers: list[grpc.aio.Server]) -> None:
        await self._take_up(parts)
        tasks.spawn(parts.saver.run(), "saver")
        tasks.spawn(parts.runner.keep_time(), "time")
        tasks.spawn(self._keep_house(parts), "housekeeping")
        for server in servers:
            await server.start()
        log.info("fleet %s, term %d, api on port %d", self.config.fleet, parts.term, self.api_port)
        self.started.set()
        await self._stop.wait()

    async def _build(self, tasks: Tasks) -> Service:
        term = await self._writing(self._database.begin_term)
        up = await self._reading(self._records.aborts_up)
        fence = Fence(up, await self._reading(self._records.aborts_lifted))
        gate = Gate(self.config.fleet, set(await self._reading(partial(self._inventory.revoked, self._now()))))
        saver = Saver(self._writing, self._history, self._records, self._retired)
        credentials = partial(Credentials.load, self.config.identity)
        post = Post(self.config.fleet, term, fence, credentials, lambda: sorted(gate.revoked), self._now, tasks.spawn)
        fleet = Fleet(tasks, lambda name, address: Session(name, address, post, runner))
        runner = Runner(fleet, saver, self._now)
        aborts = Aborts(fence, fleet, runner, saver, tasks, self._now)
        runner.hands = Hands(runner, fleet, fence, saver, tasks, term, self._now)
        runner.on_aborts = aborts.heard
        desk = Desk(self._reading, self._writing, self._retired)
        planner = Planner(fleet, self._limits, fence, self._history, desk, saver, self._now)
        ca_pem = ca.authority_pem(self.config.authority)
        return Service(
            fleet_name=self.config.fleet,
            term=term,
            policy=self._limits,
            gate=gate,
            fleet=fleet,
            fence=fence,
            runner=runner,
            aborts=aborts,
            planner=planner,
            launch=Launch(planner, self._history, desk, runner, fence, tasks, self._now),
            office=Office(self.config, ca_pem, desk, self._inventory, fleet, runner, saver, gate, self._now),
            desk=desk,
            history=self._history,
            records=self._records,
            saver=saver,
            auditor=Auditor(saver, self._now),
            tasks=tasks,
            now=self._now,
        )

    async def _take_up(self, parts: Service) -> None:
        """Experiments first, then hosts: the first hello of each already says what it shall keep."""
        for experiment in await self._reading(self._history.load_unforgotten):
            parts.runner.take(playbook.taken_up(experiment, self._now()))
            log.info("taken up: experiment %s with %d targets", experiment.id, len(experiment.rows))
        for record in await self._reading(self._inventory.hosts):
            parts.fleet.put(record)

    def _listeners(self, parts: Service) -> list[grpc.aio.Server]:
        api = grpc.aio.server(options=(*serving.OPTIONS, *_KEEPALIVE))
        service = controller_pb2.DESCRIPTOR.services_by_name["Controller"]
        api.add_generic_rpc_handlers((serving.handlers(service, parts, parts.gate),))
        self.api_port = _bind(api, self.config.listen, serving.server_credentials(self.config.identity), "listen")
        door = grpc.aio.server(options=serving.OPTIONS)
        enrol = controller_pb2.DESCRIPTOR.services_by_name["Enrolment"]
        desk = enrolment.Enrolment(
            self.config, self._inventory, parts.desk, parts.saver.audit, partial(self._entered, parts), self._now
        )
        door.add_generic_rpc_handlers((serving.handlers(enrol, desk, parts.gate),))
        own = enrolment.credentials(self.config.identity)
        self.enrol_port = _bind(door, self.config.enrol_listen, own, "enrol_listen")
        return [api, door]

    async def _entered(self, parts: Service, name: str, revoked: list[str]) -> None:
        """A host came in by a token."""
        parts.office.shut_out(revoked)
        records = await parts.desk.read(self._inventory.hosts)
        parts.fleet.put(next(record for record in records if record.name == name))

    async def _keep_house(self, parts: Service) -> None:
        """Whether we are still in charge, revocations made on the spot, and when hosts were last heard."""
        turns = 0
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            turns += 1
            try:
                if not await self._reading(self._database.is_live):
                    raise TermRetiredError
                parts.office.shut_out(sorted(await self._reading(partial(self._inventory.revoked, self._now()))))
                if turns % _CONTACTS_EVERY == 0:
                    await self._writing(partial(self._inventory.touch, _contacts(parts)))
            except StoreUnavailableError as error:
                log.warning("housekeeping: %s", error)
            except TermRetiredError:
                self._retired()

    async def _still_in_charge(self) -> bool:
        with contextlib.suppress(StoreUnavailableError):
            return await self._reading(self._database.is_live)
        return True

    async def _farewell(self, parts: Service) -> None:
        if self.superseded or not await self._still_in_charge():
            return
        open_rows = sum(not row.is_settled for each in parts.runner.experiments for row in each.rows)
        log.info("stopping; %d injections go on under their leases and are taken up by the next start", open_rows)
        try:
            await asyncio.wait_for(parts.saver.flush(), _LAST_WORDS_S)
            await self._writing(partial(self._inventory.touch, _contacts(parts)))
        except (TimeoutError, StoreUnavailableError, TermRetiredError) as error:
            log.warning("the last changes could not be stored: %s", str(error) or "the store does not answer")


def _contacts(parts: Service) -> dict[str, int]:
    return {each.name: each.last_contact for each in parts.fleet.records() if each.last_contact}


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials, key: str) -> int:
    try:
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise Refused([Problem(key, address, f"can't be bound: {error}")]) from None


def prepare(config: Config) -> Daemon:
    """A daemon on an initialised state folder; raises `Refused` with what is missing."""
    limits = policy.load(config.policy, catalogue.kinds().keys())
    if not (config.identity / "identity.crt").exists():
        raise Refused([Problem("state", str(config.state), "is not initialised; run `chaos-controller init` first")])
    names = config.own_names
    if ca.renew_controller(config.authority, config.identity, config.fleet, names, timing.steady_clock()()):
        log.info("renewed our own certificate, good for %s", ", ".join(names))
    return Daemon(config, limits, Database(config.database_url))
