"""How a refusal travels: a gRPC status for machines that know no more, and every problem in the trailing metadata."""

from typing import Any

import grpc

from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2

KEY = "chaos-refusal-bin"
_MOST_PROBLEMS = 200
_LONGEST_TEXT = 1000
"""Of a culprit, value or remedy: what a caller sent comes back in its refusal, and that must fit below."""
OPTIONS = (
    # A refusal of a whole fleet does not fit the 8 KiB that gRPC allows by default.
    ("grpc.max_metadata_size", 1024 * 1024),
    ("grpc.absolute_max_metadata_size", 1024 * 1024),
)

_MOST_BYTES = 512 * 1024  # half of what OPTIONS let pass: base64 and other trailers come on top

STATUS = {
    agent_pb2.REFUSED_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    agent_pb2.REFUSED_LAW: grpc.StatusCode.FAILED_PRECONDITION,
    agent_pb2.REFUSED_BUDGET: grpc.StatusCode.RESOURCE_EXHAUSTED,
    agent_pb2.REFUSED_FENCE: grpc.StatusCode.FAILED_PRECONDITION,
    agent_pb2.REFUSED_OVERLAP: grpc.StatusCode.ALREADY_EXISTS,
    agent_pb2.REFUSED_STALE: grpc.StatusCode.ABORTED,
    agent_pb2.REFUSED_MISSING: grpc.StatusCode.NOT_FOUND,
    agent_pb2.REFUSED_HOST: grpc.StatusCode.FAILED_PRECONDITION,
    agent_pb2.REFUSED_CALLER: grpc.StatusCode.PERMISSION_DENIED,
}


def message_of(problem: Problem) -> agent_pb2.Problem:
    """A problem for the wire."""
    return agent_pb2.Problem(
        culprit=problem.culprit[:_LONGEST_TEXT],
        value=problem.value[:_LONGEST_TEXT],
        remedy=problem.remedy[:_LONGEST_TEXT],
    )


def problem_of(message: agent_pb2.Problem) -> Problem:
    """A problem from the wire."""
    return Problem(message.culprit, message.value, message.remedy)


def pack(refused: Refused) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata of a refusal."""
    refusal = agent_pb2.Refusal(reason=agent_pb2.Refused.ValueType(refused.reason))
    room = _MOST_BYTES
    for problem in refused.problems[:_MOST_PROBLEMS]:
        message = message_of(problem)
        if (room := room - message.ByteSize()) < 0:
            break
        refusal.problems.append(message)
    return ((KEY, refusal.SerializeToString()),)


def unpack(error: Exception) -> Refused | None:
    """The refusal that a failed call carries; None when it failed for another reason."""
    trailers: Any = error.trailing_metadata() if hasattr(error, "trailing_metadata") else None
    for key, value in trailers or ():
        if key == KEY and isinstance(value, bytes):
            refusal = agent_pb2.Refusal.FromString(value)
            return Refused(map(problem_of, refusal.problems), refusal.reason)
    return None
