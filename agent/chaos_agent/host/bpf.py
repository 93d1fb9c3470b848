"""The bpf system call: maps of one value, loading a program, running it on a made-up packet."""

import contextlib
import ctypes
import errno
import os
import resource
import struct
from typing import Self

from chaos_agent.host.netlink import KernelRefused

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD, _PROG_TEST_RUN = 0, 1, 2, 5, 10
_ARRAY, _SCHED_CLS = 2, 3
_SYSCALL = {"x86_64": 321, "i686": 357, "armv7l": 386, "s390x": 351, "ppc64le": 361}
_LICENCE = b"Apache-2.0\0"  # no helper we call is reserved for GPL programs (tried on 6.1 and 6.18)
_LOG_BYTES = 256 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(doing: str, command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = _SYSCALL.get(os.uname().machine, 280)  # 280: arm64, riscv and all the newer ones
    result: int = _libc.syscall(ctypes.c_long(number), ctypes.c_long(command), buffer, ctypes.c_long(len(attributes)))
    if result < 0:
        raise KernelRefused(doing, ctypes.get_errno())
    return result


def _address(buffer: "ctypes.Array[ctypes.c_char]") -> int:
    return ctypes.addressof(buffer)


def _bytes(payload: bytes) -> "ctypes.Array[ctypes.c_char]":
    return ctypes.create_string_buffer(payload, len(payload))


class _Descriptor:
    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_inheritable(descriptor, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Value(_Descriptor):
    """`words` numbers of 64 bits, shared between us and a program (an array map with one entry)."""

    def __init__(self, words: int, name: str = "chaos") -> None:
        self._words = words
        allow_locked_memory()
        shape = struct.pack("=IIIIIII16s", _ARRAY, 4, 8 * words, 1, 0, 0, 0, name.encode()[:15])
        super().__init__(_bpf("make a map", _MAP_CREATE, shape))

    def write(self, *numbers: int) -> None:
        key, value = _bytes(bytes(4)), _bytes(struct.pack(f"={self._words}Q", *numbers))
        request = struct.pack("=IxxxxQQQ", self.descriptor, _address(key), _address(value), 0)
        _bpf("write a map", _MAP_UPDATE, request)

    def read(self) -> tuple[int, ...]:
        key, value = _bytes(bytes(4)), _bytes(bytes(8 * self._words))
        _bpf("read a map", _MAP_LOOKUP, struct.pack("=IxxxxQQQ", self.descriptor, _address(key), _address(value), 0))
        return struct.unpack(f"={self._words}Q", value.raw)


class Program(_Descriptor):
    """A loaded classifier."""

    def __init__(self, instructions: bytes, name: str = "chaos") -> None:
        allow_locked_memory()
        self._code = _bytes(instructions)
        try:
            super().__init__(_bpf("load the matcher", _PROG_LOAD, self._request(name)))
        except KernelRefused as refused:
            raise KernelRefused("load the matcher", refused.errno, self._verifier_says(name, refused.errno)) from None

    def _request(self, name: str, log: "ctypes.Array[ctypes.c_char] | None" = None) -> bytes:
        self._licence = _bytes(_LICENCE)
        return struct.pack(
            "=IIQQIIQII16s",
            _SCHED_CLS,
            len(self._code) // 8,
            _address(self._code),
            _address(self._licence),
            1 if log else 0,
            len(log) if log else 0,
            _address(log) if log else 0,
            0,
            0,
            name.encode()[:15],
        )

    def _verifier_says(self, name: str, number: int) -> str:
        if number in (errno.EPERM, errno.ENOSYS):
            return ""
        log = ctypes.create_string_buffer(_LOG_BYTES)
        with contextlib.suppress(KernelRefused):
            os.close(_bpf("load the matcher", _PROG_LOAD, self._request(name, log)))
        lines = log.value.decode(errors="replace").strip().splitlines()
        return "; ".join(lines[-3:])

    def run(self, packet: bytes, context: bytes = b"") -> int:
        """What the program answers to a packet (BPF_PROG_TEST_RUN); for tests of the matcher."""
        data, held = _bytes(packet), _bytes(context)
        request = bytearray(
            struct.pack(
                "=IIIIQQIIIIQQ",
                self.descriptor,
                0,
                len(packet),
                0,
                _address(data),
                0,
                1,
                0,
                len(context),
                0,
                _address(held) if context else 0,
                0,
            )
        )
        buffer = (ctypes.c_char * len(request)).from_buffer(request)
        number = _SYSCALL.get(os.uname().machine, 280)
        if _libc.syscall(ctypes.c_long(number), ctypes.c_long(_PROG_TEST_RUN), buffer, ctypes.c_long(len(request))):
            raise KernelRefused("run the matcher", ctypes.get_errno())
        answer: int = struct.unpack_from("=i", request, 4)[0]
        return answer


def allow_locked_memory() -> None:
    """Before 5.11 maps and programs count against RLIMIT_MEMLOCK, 64 KiB by default."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if release < (5, 11):
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError) as error:
            raise KernelRefused("raise RLIMIT_MEMLOCK", errno.EPERM, str(error)) from error
