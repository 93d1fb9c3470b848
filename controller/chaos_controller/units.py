"""Units of the protocol by name, so that the core can read and show values without knowing messages."""

from chaos_protocol.v1 import options_pb2

DURATION: int = options_pb2.UNIT_DURATION
SHARE: int = options_pb2.UNIT_SHARE
INSTANT: int = options_pb2.UNIT_INSTANT
