"""Names and labels into BPF instructions."""

import struct

import pytest
from chaos_agent.network.assembler import R0, R1, Assembler


def decoded(code: Assembler) -> list[tuple[int, int, int]]:
    """Opcode, offset and number of each instruction."""
    whole = code.assemble()
    parts = [struct.unpack_from("=BBhi", whole, at) for at in range(0, len(whole), 8)]
    return [(opcode, offset, number) for opcode, _, offset, number in parts]


def test_jumps_to_a_label_that_comes_later() -> None:
    """A jump counts from the instruction after it."""
    code = Assembler()
    code.jump_if(R1, "==", 7, "end")
    code.put(R0, 1)
    code.label("end")
    code.leave()

    assert decoded(code)[0] == (0x16, 1, 7)


def test_leaves_out_what_nothing_leads_to() -> None:
    """The kernel refuses programs with unreachable parts, so they are left out and jumps reach over the gap."""
    code = Assembler()
    code.jump_if(R1, "==", 7, "end")
    code.jump("end")
    code.put(R0, 1)
    code.put(R0, 2)
    code.label("end")
    code.leave()

    assert decoded(code) == [(0x16, 1, 7), (0x05, 0, 0), (0x95, 0, 0)]


def test_calls_a_function_of_its_own() -> None:
    """A local call is resolved as a jump is, and the function is kept."""
    code = Assembler()
    code.call_local("function")
    code.leave()
    code.label("function")
    code.leave()

    assert decoded(code) == [(0x85, 0, 1), (0x95, 0, 0), (0x95, 0, 0)]


def test_numbers_wrap_into_32_bits() -> None:
    """A mask with the highest bit set is the negative number of the same bits."""
    code = Assembler()
    code.compute(R1, "&", 0xFFFFFF00)
    code.leave()

    assert decoded(code)[0][2] == -256


def test_a_label_is_given_once() -> None:
    """Two places can't have one name."""
    code = Assembler()
    code.label("here")

    with pytest.raises(AssertionError):
        code.label("here")
