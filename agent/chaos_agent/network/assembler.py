"""An assembler for the few BPF instructions the matcher is made of. Pure: names and labels in, bytes out."""

import struct
import sys

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FRAME = range(11)

BOOT_TIME, LOAD_RELATIVE, PULL_DATA = 125, 68, 39  # helpers of the kernel
FROM_MAC, FROM_NETWORK = 0, 1  # what LOAD_RELATIVE counts from

_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_CONDITIONS = {"==": 0x10, ">": 0x20, ">=": 0x30, "!=": 0x50, "<": 0xA0, "<=": 0xB0}
_OPERATIONS = {"+": 0x00, "&": 0x50, "<<": 0x60, ">>": 0x70, "=": 0xB0}
_MAP_VALUE = 2  # BPF_PSEUDO_MAP_VALUE: the address of the first value of an array map
_JUMP, _EXIT = 0x05, 0x95
_CALL_LOCAL = 1  # BPF_PSEUDO_CALL


class Assembler:
    """Collects instructions; jumps name labels that may come later."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int, int]] = []
        self._labels: dict[str, int] = {}
        self._jumps: dict[int, str] = {}
        self._calls: dict[int, str] = {}
        self._fresh = 0

    def fresh(self, stem: str) -> str:
        """A label nobody else has."""
        self._fresh += 1
        return f"{stem}.{self._fresh}"

    def label(self, name: str) -> None:
        assert name not in self._labels, name
        self._labels[name] = len(self._code)

    def put(self, register: int, number: int) -> None:
        self._add(0xB7, register, 0, 0, number)

    def copy(self, register: int, source: int) -> None:
        self._add(0xBF, register, source, 0, 0)

    def compute(self, register: int, operation: str, number: int) -> None:
        """On the lower 32 bits; the upper ones become 0."""
        self._add(0x04 | _OPERATIONS[operation], register, 0, 0, number)

    def add(self, register: int, source: int) -> None:
        self._add(0x0C, register, source, 0, 0)

    def add_address(self, register: int, number: int) -> None:
        self._add(0x07, register, 0, 0, number)

    def to_host_order(self, register: int, bits: int) -> None:
        self._add(0xDC, register, 0, 0, bits)

    def load(self, size: int, register: int, base: int, offset: int) -> None:
        self._add(0x61 | _SIZES[size], register, base, offset, 0)

    def store(self, size: int, base: int, offset: int, register: int) -> None:
        self._add(0x63 | _SIZES[size], base, register, offset, 0)

    def count_up(self, base: int, offset: int, register: int) -> None:
        """Add a register to 64 bits in memory, atomically."""
        self._add(0xDB, base, register, offset, 0)

    def map_value(self, register: int, descriptor: int) -> None:
        self._add(0x18, register, _MAP_VALUE, 0, descriptor)
        self._add(0, 0, 0, 0, 0)

    def jump(self, target: str) -> None:
        self._jump(_JUMP, 0, 0, 0, target)

    def jump_if(self, register: int, condition: str, number: int, target: str) -> None:
        """Compares 32 bits, unsigned."""
        self._jump(0x06 | _CONDITIONS[condition], register, 0, number, target)

    def jump_if_register(self, register: int, condition: str, other: int, target: str) -> None:
        """Compares 64 bits, unsigned."""
        self._jump(0x0D | _CONDITIONS[condition], register, other, 0, target)

    def call(self, helper: int) -> None:
        self._add(0x85, 0, 0, 0, helper)

    def call_local(self, target: str) -> None:
        self._calls[len(self._code)] = target
        self._add(0x85, 0, _CALL_LOCAL, 0, 0)

    def leave(self) -> None:
        self._add(_EXIT, 0, 0, 0, 0)

    def assemble(self) -> bytes:
        """Without what nothing leads to: the kernel refuses a program that has such a part."""
        kept = sorted(self._reachable())
        places = {at: place for place, at in enumerate(kept)}
        return b"".join(self._encode(at, places) for at in kept)

    def _reachable(self) -> set[int]:
        found: set[int] = set()
        waiting = [0]
        while waiting:
            at = waiting.pop()
            if at not in found:
                found.add(at)
                waiting += self._after(at)
        return found

    def _after(self, at: int) -> list[int]:
        code = self._code[at][0]
        after = [self._labels[names[at]] for names in (self._jumps, self._calls) if at in names]
        return after if code in (_JUMP, _EXIT) else [*after, at + 1]

    def _add(self, code: int, destination: int, source: int, offset: int, number: int) -> None:
        self._code.append((code, destination, source, offset, number))

    def _jump(self, code: int, destination: int, source: int, number: int, target: str) -> None:
        self._jumps[len(self._code)] = target
        self._add(code, destination, source, 0, number)

    def _encode(self, at: int, places: dict[int, int]) -> bytes:
        code, destination, source, offset, number = self._code[at]
        if at in self._jumps:
            offset = places[self._labels[self._jumps[at]]] - places[at] - 1
        if at in self._calls:
            number = places[self._labels[self._calls[at]]] - places[at] - 1
        low, high = (destination, source) if sys.byteorder == "little" else (source, destination)
        number = number - (1 << 32) if number >= 1 << 31 else number
        return struct.pack("=BBhi", code, low | high << 4, offset, number)
