"""The Python client, and the only module of chaosctl that knows grpc and the messages.

    from chaosctl.client import Client

    with Client.connect() as client:
        spec = {"faults": [{"latency": {"delay": "100ms"}}], "selection": {"hosts": ["web*"]}, "duration": "2m"}
        experiment = client.run(spec)["experiment"]
        for state in client.watch(experiment["id"]):
            print(state["state"], state.get("left"))

Everything goes in and comes out in the one shape of files, `-o json` and HTTP: keys as in the proto less their unit,
values as people write them. Whatever is refused raises `chaosctl.stop.Stop` with every problem.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
from chaos_protocol import calling, catalogue, document, values
from chaos_protocol.identity import Credentials, Identity
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2, controller_pb2, controller_pb2_grpc, options_pb2
from google.protobuf.message import Message

from chaosctl import credentials, settings
from chaosctl.exits import Exit, exit_of_refusal
from chaosctl.stop import Stop, Unreachable

Document = dict[str, Any]
M = TypeVar("M", bound=Message)
QUICK_S, PLANNING_S = 10.0, 60.0
_ADDRESS = re.compile(r"^\S+:\d+: ")
_UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


class Stream(Generic[M]):
    """States as they come; `close` ends it from any thread."""

    def __init__(self, call: Any, client: "Client") -> None:
        self._call = call
        self._client = client

    def __iter__(self) -> Iterator[Document]:
        try:
            for message in self._call:
                yield document.write(message)
        except grpc.RpcError as error:
            raise self._client.explain(error) from None
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening."""
        self._call.cancel()


class Client:
    """One controller, spoken to with mutual TLS. Every call that is no stream has a deadline."""

    def __init__(self, address: str, keys: Credentials, controller: Identity, home: Path | None = None) -> None:
        self.address = address
        self._keys = keys
        self._controller = controller
        self._home = home
        self._channel = calling.sync_channel(address, keys, controller)
        self._stub = controller_pb2_grpc.ControllerStub(self._channel)

    @classmethod
    def connect(cls, home: Path | None = None, controller: str = "") -> Self:
        """The client of whoever is logged in in `home` ($CHAOSCTL_HOME, ~/.config/chaosctl)."""
        home = home or settings.home_of()
        known = settings.load(home, controller)
        keys, who = credentials.load(home)
        return cls(known.controller, keys, credentials.controller_of(who.fleet), home)

    def again(self) -> Self:
        """The same caller on a new connection: what broke an old one often keeps it broken."""
        return type(self)(self.address, self._keys, self._controller, self._home)

    def close(self) -> None:
        """Let the connection go."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def plan(self, spec: Mapping[str, Any]) -> Document:
        """What the experiment would do; nothing is touched."""
        return self._ask("MakePlan", controller_pb2.PlanRequest(spec=read_spec(spec)), PLANNING_S)

    def run(
        self, spec: Mapping[str, Any] | None = None, plan_hash: str = "", key: str = "", keepalive: str = "0s"
    ) -> Document:
        """Start an experiment, as described or as planned. The same `key` starts it once, however often it is sent."""
        request = controller_pb2.RunRequest(idempotency_key=key or str(uuid.uuid4()))
        request.keepalive_ns = values.parse(options_pb2.UNIT_DURATION, keepalive)
        if plan_hash:
            request.plan_hash = plan_hash
        else:
            request.spec.CopyFrom(read_spec(spec or {}))
        reply = self._ask("Run", request, PLANNING_S)
        if "experiment" not in reply:
            raise Stop(Exit.INTERNAL, [Problem("controller", self.address, "answered without an experiment")])
        return reply

    def watch(self, experiment_id: str) -> Stream[controller_pb2.Experiment]:
        """The experiment's state now and whenever it changes, until it is over."""
        return Stream(self._stub.Watch(controller_pb2.ExperimentId(id=experiment_id)), self)

    def renew(self, experiment_id: str, deadline_s: float = QUICK_S) -> None:
        """Say that the caller still lives."""
        self._ask("Renew", controller_pb2.ExperimentId(id=experiment_id), deadline_s)

    def show(self, experiment_id: str) -> Document:
        """One experiment."""
        return self._ask("Show", controller_pb2.ExperimentId(id=experiment_id))

    def experiments(self, over: bool = False, limit: int = 0) -> Document:
        """Experiments that run; `over`: also those that are over."""
        request = controller_pb2.ListExperimentsRequest(all=over)
        if limit:
            request.limit = limit
        return self._ask("ListExperiments", request)

    def abort(
        self, experiment_id: str = "", everything: bool = False, reason: str = "", abort_id: str = ""
    ) -> Stream[controller_pb2.AbortReport]:
        """End one experiment, or everything and raise the fence. The whole account comes again with each change."""
        request = controller_pb2.AbortRequest(abort_id=abort_id or str(uuid.uuid4()))
        if everything:
            request.all = True
        else:
            request.experiment_id = experiment_id
        if reason:
            request.reason = reason
        return Stream(self._stub.Abort(request), self)

    def fence(self) -> Document:
        """Whether an abort keeps new faults out."""
        return self._ask("ShowFence", controller_pb2.FenceRequest())

    def lift_fence(self, abort_ids: list[str] | None = None) -> Document:
        """Let new faults in again; without ids: whatever is up now."""
        return self._ask("LiftFence", controller_pb2.LiftFenceRequest(abort_ids=abort_ids or []))

    def hosts(self, selection: Mapping[str, Any] | None = None, retired: bool = False) -> Document:
        """The hosts that are enrolled, or those that a selection would take."""
        asked: Document = {"selection": dict(selection)} if selection else {}
        request = _read(controller_pb2.ListHostsRequest, asked | ({"retired": True} if retired else {}))
        return self._ask("ListHosts", request)

    def label_host(self, host: str, labels: Mapping[str, str], remove: list[str]) -> Document:
        """Set and remove labels."""
        return self._ask("LabelHost", controller_pb2.LabelHostRequest(host=host, set=labels, remove=remove))

    def retire_host(self, host: str, reason: str) -> Document:
        """Take a host out of the fleet."""
        return self._ask("RetireHost", controller_pb2.RetireHostRequest(host=host, reason=reason))

    def accept_host(self, host: str, reason: str) -> Document:
        """Take it on oneself that a host is clean that can't prove it."""
        return self._ask("AcceptHost", controller_pb2.AcceptHostRequest(host=host, reason=reason))

    def create_token(self, name: str, role: str, labels: Mapping[str, str], valid: str = "") -> Document:
        """A token with which a host joins or a person logs in; it is shown once."""
        asked: Document = {"name": name, "role": role, "labels": dict(labels)}
        request = _read(controller_pb2.TokenRequest, asked | ({"valid": valid} if valid else {}))
        return self._ask("CreateToken", request)

    def revoke(self, name: str, role: str) -> Document:
        """Take the certificates of a name in a role back."""
        return self._ask("Revoke", _read(controller_pb2.RevokeRequest, {"name": name, "role": role}))

    def status(self) -> Document:
        """The fleet at a glance."""
        return self._ask("GetStatus", controller_pb2.StatusRequest())

    def audit(self, limit: int = 0) -> Document:
        """Who did what, in the controller's order."""
        return self._ask("ReadAudit", controller_pb2.AuditRequest(limit=limit or None))

    def _ask(self, method: str, request: Message, deadline_s: float = QUICK_S) -> Document:
        try:
            reply: Message = getattr(self._stub, method)(request, timeout=deadline_s)
        except grpc.RpcError as error:
            raise self.explain(error) from None
        return document.write(reply)

    def explain(self, error: grpc.RpcError) -> Stop:
        """What a failed call means to the caller."""
        if refused := calling.refusal(error):
            return stop_of(refused)
        status = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
        detail = (error.details() if isinstance(error, grpc.Call) else None) or ""
        if status in _UNREACHABLE:
            return self._unreachable(status, detail)
        if status == grpc.StatusCode.UNIMPLEMENTED:
            remedy = "does not know this call; it is older than this chaosctl: update it"
            return Stop(Exit.INTERNAL, [Problem("controller", self.address, remedy)])
        if status in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
            return Stop(Exit.LIMIT, [Problem("controller", self.address, detail or "does not let you do this")])
        return Stop(Exit.INTERNAL, [Problem("controller", self.address, f"failed: {detail or status.name.lower()}")])

    def _unreachable(self, status: grpc.StatusCode, detail: str) -> Stop:
        """Our own files first: a server that refuses a certificate only closes the socket."""
        if self._home and (problems := credentials.examine(self._home)):
            return Stop(Exit.INPUT, problems, "your own certificate can't be used")
        why = "did not answer in time" if status == grpc.StatusCode.DEADLINE_EXCEEDED else short(detail)
        if "handshake failed" in detail.lower():
            why = "is not the controller of this fleet"
            remedy = f"{why}; is the address right? You are logged in to fleet {self._controller.fleet}"
        else:
            remedy = (
                f"{why}; is chaos-controller running there, and is the address right? When it is gone hosts end "
                "their faults by themselves; on a host, `chaos-agent revert --all` ends them now"
            )
        return Unreachable([Problem("controller", self.address, remedy)], why)


def short(detail: str) -> str:
    """The end of gRPC's account of a failure says why; what comes before repeats the address."""
    last = detail.rpartition("last error: ")[2].rpartition("ipv4:")[2].rpartition("ipv6:")[2]
    return f"does not answer ({_ADDRESS.sub('', last).strip() or 'connection lost'})"


def read_spec(spec: Mapping[str, Any]) -> controller_pb2.Spec:
    """The experiment that a document describes; raises `Stop` with every problem in it."""
    return _read(controller_pb2.Spec, spec)


def _read(cls: type[M], asked: Mapping[str, Any]) -> M:
    try:
        return document.read(cls, asked)
    except Refused as refused:
        raise stop_of(refused) from None


def stop_of(refused: Refused) -> Stop:
    """A refusal with its exit status."""
    word = catalogue.word_of(agent_pb2.Refused.DESCRIPTOR, refused.reason)
    return Stop(exit_of_refusal(word), refused.problems)
