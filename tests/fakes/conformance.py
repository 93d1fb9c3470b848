"""What every fault must keep, tried on a host of its own: run it in fresh network and mount namespaces.

    unshare --net --mount python tests/fakes/conformance.py KIND

Prints what was broken, a line each, and ends 1; or nothing and 0.
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

from chaos_agent import kinds
from chaos_agent.contract import FaultFailed, Settings, Undo
from chaos_protocol import catalogue, document

FURNISH = """
mount -t tmpfs tmpfs /srv
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add eth0 type veth peer name eth1
ip addr add 10.1.0.1/24 dev eth0
ip link set eth0 up
ip link set eth1 up
ip route add default via 10.1.0.2
tc qdisc add dev eth0 clsact
tc filter add dev eth0 egress pref 5 protocol ip u32 match ip dst 10.9.9.9 flowid 1:1
"""
LOOK = "ip -o link show; tc qdisc show; tc filter show dev eth0 egress; tc filter show dev eth0 ingress; find /srv"
HARMLESS = ("no trace", "already clean")


def look() -> str:
    return subprocess.run(LOOK, shell=True, check=True, capture_output=True, text=True).stdout


def broken(kind: str) -> Iterator[str]:
    known = catalogue.kinds()[kind]
    examples = {parameter.key: parameter.example for parameter in known.parameters if parameter.required}
    message = document.with_defaults(document.read(catalogue.message_class(known.descriptor), examples))
    fault = kinds.load(kind).read(document.plain(message))
    verdict = fault.check(str(uuid.uuid4()), Settings(agent_port=7070))
    if verdict.problems:
        yield f"its own examples are refused: {verdict.problems}"
        return
    found = look()
    yield from _harmless(kind, verdict.undo, "before inject")
    try:
        held = fault.inject(verdict.undo, time.clock_gettime_ns(time.CLOCK_BOOTTIME) + 60 * 10**9)
        held.observe()
        if look() == found:
            yield "nothing on the host shows that it holds"
        held.close()
    except FaultFailed as failed:
        # A kernel that can't carry it stopped it half way: what is there must be undone all the same.
        if not fault.missing():
            yield f"it failed on a host that lacks nothing: {failed}"
    result = fault.revert(verdict.undo).result
    if result not in (*HARMLESS, "reverted"):
        yield f"revert says {result}"
    if look() != found:
        yield f"the host is not as found:\n{found}\nnow:\n{look()}"
    yield from _harmless(kind, verdict.undo, "a second time")


def _harmless(kind: str, undo: Undo, when: str) -> Iterator[str]:
    result = kinds.load(kind).revert(undo).result
    if result not in HARMLESS:
        yield f"revert {when} says {result}"


if __name__ == "__main__":
    subprocess.run(FURNISH, shell=True, check=True)
    complaints = list(broken(sys.argv[1]))
    print("\n".join(complaints))
    sys.exit(bool(complaints))
