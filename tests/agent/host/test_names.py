"""Names into addresses, in bounded time."""

import time

from chaos_agent.host import names


def test_a_name_of_this_host() -> None:
    """localhost is known without a server."""
    assert "127.0.0.1" in names.resolve(["localhost"])["localhost"]


def test_an_unknown_name_is_absent() -> None:
    """What can't be looked up is not in the answer, and is no failure of the others."""
    assert list(names.resolve(["localhost", "no such name", "a" * 300])) == ["localhost"]


def test_a_resolver_that_hangs_is_left_behind() -> None:
    """The answer comes in time whether or not the resolver does."""
    begin = time.monotonic()

    names.resolve(["nowhere.invalid"], patience_s=0.0)

    assert time.monotonic() - begin < 1
