"""Channels to daemons: mutual TLS, the server known by its name in the fleet and not by its address."""

import grpc
import grpc.aio

from chaos_protocol import refusals
from chaos_protocol.identity import Credentials, Identity

refusal = refusals.unpack


def _options(server: Identity) -> list[tuple[str, str | int]]:
    return [
        *refusals.OPTIONS,
        ("grpc.ssl_target_name_override", server.server_name),
        # A channel of its own: with the shared pool, a new one gets the dead connection of the old.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 500),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ]


def channel(address: str, credentials: Credentials, server: Identity) -> grpc.aio.Channel:
    """An asynchronous channel to `server` at `address` (host:port)."""
    return grpc.aio.secure_channel(address, _client_side(credentials), options=_options(server))


def sync_channel(address: str, credentials: Credentials, server: Identity) -> grpc.Channel:
    """The same for code without an event loop."""
    return grpc.secure_channel(address, _client_side(credentials), options=_options(server))


def bearer_channel(address: str, ca: bytes, server: Identity) -> grpc.Channel:
    """A channel of somebody without a certificate yet; `ca` is PEM."""
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options=_options(server))


def _client_side(credentials: Credentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate)
