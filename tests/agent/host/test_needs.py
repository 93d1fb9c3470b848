"""What is missing is named with the way to mend it."""

import pytest
from chaos_agent.host.needs import problems, remedy

# what is missing, os-release -> what the remedy names
REMEDIES = [
    ("sch_netem", "rhel fedora", "kernel-modules-extra"),
    ("sch_netem", "rocky rhel centos fedora", "kernel-modules-extra"),
    ("sch_netem", "ubuntu debian", "linux-modules-extra"),
    ("sch_netem", "debian", "full linux-image package"),
    ("ifb", "arch", "modprobe ifb"),
    ("CAP_BPF", "debian", "5.8"),
    ("CAP_NET_ADMIN", "debian", "CAP_NET_ADMIN CAP_BPF"),
]


@pytest.mark.parametrize(("need", "distribution", "expected"), REMEDIES)
def test_remedy(need: str, distribution: str, expected: str) -> None:
    """Each distribution has its own package for what a kernel lacks."""
    assert expected in remedy(need, distribution)


def test_nothing_failed_means_nothing_missing() -> None:
    """A host on which everything could be tried has no problem."""
    assert problems({}, "debian") == ()


def test_says_what_the_kernel_said() -> None:
    """The problem carries the kernel's own words."""
    (found,) = problems({"ifb": "make probe: Operation not supported"}, "debian")

    assert (found.culprit, found.value) == ("ifb", "make probe: Operation not supported")
