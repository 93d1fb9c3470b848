"""The bpf system call: values shared with a program, programs loaded and run."""

import pytest
from chaos_agent.host.bpf import Program, Value
from chaos_agent.host.netlink import KernelRefused
from chaos_agent.network.assembler import R0, R1, R2, Assembler

PACKET = bytes(12) + b"\x08\x00" + bytes(50)


def test_a_value_is_read_as_written() -> None:
    """All 64 bits of each word."""
    with Value(2) as value:
        assert value.read() == (0, 0)
        value.write(2**64 - 1, 7)

        assert value.read() == (2**64 - 1, 7)


def test_a_program_sees_a_value_change() -> None:
    """What we write, a loaded program reads at once."""
    with Value(1) as value:
        code = Assembler()
        code.map_value(R1, value.descriptor)
        code.load(8, R2, R1, 0)
        code.copy(R0, R2)
        code.leave()

        with Program(code.assemble()) as program:
            answers = [program.run(PACKET)]
            value.write(5)
            answers.append(program.run(PACKET))

    assert answers == [0, 5]


def test_a_bad_program_is_refused_in_the_verifiers_words() -> None:
    """Whoever generated it must learn why."""
    code = Assembler()
    code.leave()

    with pytest.raises(KernelRefused, match=r"load the matcher: .*R0 !read_ok"):
        Program(code.assemble())


def test_closing_twice_is_harmless() -> None:
    """A descriptor is closed once; its number may be somebody else's by then."""
    value = Value(1)
    value.close()

    value.close()
