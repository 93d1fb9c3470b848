"""Makes an nftables chain at an interface's ingress, without the nft tool."""

import errno
import socket
import struct

from chaos_agent.host.netlink import NETFILTER, attribute, each_message, nested, text

INET, NETDEV = 1, 5
_SUBSYSTEM, _BEGIN, _END = 10, 16, 17
_NEWTABLE, _NEWCHAIN = 0, 3
_REQUEST, _ACK, _CREATE = 1, 4, 0x400


def add_ingress_chain(table: str, chain: str, interface: str, family: int = NETDEV) -> None:
    """`table family T { chain C { type filter hook ingress device I priority 0 } }`"""
    number = {NETDEV: 0, INET: 5}[family]
    hook = nested(4, _big(1, number), _big(2, 0), text(3, interface))
    made = text(1, table) + text(3, chain) + hook + text(7, "filter")
    _batch((_NEWTABLE, family, text(1, table)), (_NEWCHAIN, family, made))


def _big(kind: int, number: int) -> bytes:
    return attribute(kind, struct.pack("!I", number))


def _batch(*parts: tuple[int, int, bytes]) -> None:
    messages = [_message(_BEGIN, 0, 0, b"", _SUBSYSTEM)]
    messages += [_message(_SUBSYSTEM << 8 | kind, _ACK | _CREATE, family, body) for kind, family, body in parts]
    messages += [_message(_END, 0, 0, b"", _SUBSYSTEM)]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as netlink:
        netlink.settimeout(5)
        netlink.bind((0, 0))
        netlink.send(b"".join(messages))
        answered = 0
        while answered < len(parts):
            for _, _, _, body in each_message(netlink.recv(65536)):
                number = -struct.unpack_from("=i", body)[0]
                assert not number, errno.errorcode[number]
                answered += 1


def _message(kind: int, flags: int, family: int, body: bytes, resource: int = 0) -> bytes:
    header = struct.pack("!BBH", family, 0, resource)
    return struct.pack("=IHHII", 16 + 4 + len(body), kind, flags | _REQUEST, 1, 0) + header + body
