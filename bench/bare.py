"""The peer of the idle agent: a server of grpc.aio with mutual TLS, one stream, and nothing else.

python -m bench.bare FOLDER PORT [lean]      FOLDER has identity.key, identity.crt, ca.crt; lean: without OpenSSL
"""

import os
import sys

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
if "lean" in sys.argv:
    sys.modules["ssl"] = sys.modules["_hashlib"] = None  # type: ignore[assignment]

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

TICK_S = 30.0


async def hold(_: AsyncIterator[bytes], __: Any) -> AsyncIterator[bytes]:
    """One message each half minute, as an agent that holds nothing."""
    while True:
        yield b"tick"
        await asyncio.sleep(TICK_S)


async def serve(folder: Path, port: int) -> None:
    """Until somebody ends the process."""
    key, certificate, ca = ((folder / name).read_bytes() for name in ("identity.key", "identity.crt", "ca.crt"))
    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(hold)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Bare", {"Hold": handler}),))
    server.add_secure_port(f"[::1]:{port}", grpc.ssl_server_credentials([(key, certificate)], ca, True))
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
