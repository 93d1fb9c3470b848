"""Messages that people write as one word: a reader and a writer each, found by the `word` option."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from chaos_protocol.v1 import faults_pb2

M = TypeVar("M")
_LAST_PORT = 65535


@dataclass(frozen=True)
class Word(Generic[M]):
    """`read` raises `ValueError` with the remedy; `fault` is what is wrong with a message from the wire, or nothing."""

    read: Callable[[str], M]
    show: Callable[[M], str]
    fault: Callable[[M], str]


def _read_ports(text: str) -> faults_pb2.Ports:
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(number.strip().isascii() and number.strip().isdigit() and len(number) < 12 for number in numbers):
        raise ValueError("must be a port or a range; write 5432 or 6000-6100")
    ports = faults_pb2.Ports(first=min(int(numbers[0]), 2**32 - 1), last=min(int(numbers[1]), 2**32 - 1))
    if fault := _fault_of_ports(ports):
        raise ValueError(fault)
    return ports


def _fault_of_ports(ports: faults_pb2.Ports) -> str:
    if not 1 <= ports.first <= _LAST_PORT or not 1 <= ports.last <= _LAST_PORT:
        return f"ports go from 1 to {_LAST_PORT}"
    return "the range runs backwards" if ports.last < ports.first else ""


def _show_ports(ports: faults_pb2.Ports) -> str:
    return str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"


WORDS = {"ports": Word(_read_ports, _show_ports, _fault_of_ports)}
