"""Where a network fault would be put on this host, and what stands against it. Reads, and touches nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaos_protocol.problems import Problem

from chaos_agent.contract import Claim, Settings
from chaos_agent.host import links, nftables, tc
from chaos_agent.host.links import Link
from chaos_agent.host.netlink import Netlink
from chaos_agent.network import divert, marks
from chaos_agent.network.claims import PacketsClaim, stands_on
from chaos_agent.network.parameters import Traffic, look_up, protected_to_json, selectors_to_json
from chaos_agent.network.protected import gather
from chaos_agent.network.selectors import PROTOCOLS, Protected, Selectors

_UNPROTECTED = "not protected, and delayed where it matches: DNS, BGP, BFD, VRRP, cluster heartbeats, NFS root, iSCSI"


@dataclass(frozen=True, slots=True)
class Plan:
    """Legs as they go into the undo, and what the verdict says about them."""

    interfaces: Sequence[Link]
    legs: Sequence[dict[str, object]]
    protected: Mapping[str, object]
    problems: Sequence[Problem]
    notes: Sequence[str]
    facts: Mapping[str, str]
    claims: Sequence[Claim]


def plan_diversion(traffic: Traffic, settings: Settings) -> Plan:
    protected, problems = gather(settings)
    reading = look_up(traffic, protected)
    with Netlink() as netlink:
        all_links = links.links(netlink)
        chosen, complaints = choose_interfaces(traffic.interfaces, all_links, links.default_route_interfaces(netlink))
        hooks = [divert.Hook(link.index, link.name, way) for link in chosen for way in traffic.directions]
        against, notes = _obstacles(netlink, hooks, bool(traffic.interfaces))
        bare = {link.index for link in chosen if not _has_clsact(netlink, link.index)}
    wanted = {hook: traffic.selectors(hook.direction, reading.selectors) for hook in hooks}
    if len(hooks) > marks.MOST_DEVICES:
        complaints.append(
            Problem("interface", f"{len(hooks)} directions", f"at most {marks.MOST_DEVICES} in one fault")
        )
    return Plan(
        interfaces=chosen,
        legs=[_leg(hook, selectors, hook.index in bare) for hook, selectors in wanted.items()],
        protected=protected_to_json(protected),
        problems=[*problems, *reading.problems, *complaints, *against],
        notes=[*_matched(wanted), *_about(chosen, traffic), *notes],
        facts={"interface": ", ".join(link.name for link in chosen), **reading.facts, **_protected_facts(protected)},
        claims=[PacketsClaim(str(hook), hook.index, hook.direction, stands_on(hook.index, all_links), selectors)
                for hook, selectors in wanted.items()],
    )  # fmt: skip


def choose_interfaces(
    names: Sequence[str], present: Iterable[Link], default: set[int]
) -> tuple[list[Link], list[Problem]]:
    """Those that are named; without names those that carry the default routes, never loopback."""
    usable = {link.name: link for link in present if not marks.is_device(link)}
    known = ", ".join(sorted(usable))
    if names:
        missing = [Problem("interface", name, f"is not on this host; there are: {known}")
                   for name in names if name not in usable]  # fmt: skip
        return [usable[name] for name in dict.fromkeys(names) if name in usable], missing
    chosen = [link for link in usable.values() if link.index in default and not link.loopback]
    if not chosen:
        return [], [Problem("interface", "", f"no interface carries a default route; name one of: {known}")]
    return chosen, []


def _leg(hook: divert.Hook, selectors: Selectors, makes_clsact: bool) -> dict[str, object]:
    return {
        "index": hook.index,
        "interface": hook.interface,
        "direction": hook.direction,
        "makes_clsact": makes_clsact,
        "selectors": selectors_to_json(selectors),
    }


def _has_clsact(netlink: Netlink, index: int) -> bool:
    return any(qdisc.kind == "clsact" for qdisc in tc.qdiscs(netlink, index))


def _obstacles(netlink: Netlink, hooks: Sequence[divert.Hook], named: bool) -> tuple[list[Problem], list[str]]:
    problems, notes = [], []
    firewalled = nftables.ingress_hooks() if any(hook.direction == "ingress" for hook in hooks) else []
    for hook in hooks:
        problems += _unusable_hook(netlink, hook)
        problems += [
            Problem(hook.interface, what, "delayed packets would not pass it a second time; use --direction egress")
            for interface, what in firewalled
            if hook.direction == "ingress" and interface == hook.interface
        ]
        against, remarks = _other_filters(tc.filters(netlink, hook.index, hook.parent), hook, named)
        problems += against
        notes += remarks
    return problems, notes


def _unusable_hook(netlink: Netlink, hook: divert.Hook) -> list[Problem]:
    for qdisc in tc.qdiscs(netlink, hook.index):
        if qdisc.kind == "ingress" and hook.direction == "egress":
            remedy = "is in clsact's place; use --direction ingress, or replace it by clsact, which can do the same"
            return [Problem(hook.interface, "qdisc ingress", remedy)]
        if qdisc.kind in ("ingress", "clsact") and qdisc.shared:
            remedy = "others' interfaces would be hit with it; choose another interface, or give this one its own block"
            return [Problem(hook.interface, f"{qdisc.kind} with a shared block", remedy)]
    return []


def _other_filters(found: Sequence[tc.Filter], hook: divert.Hook, named: bool) -> tuple[list[Problem], list[str]]:
    problems, notes = [], []
    others = [one for one in found if one.handle and not one.name.startswith(marks.PREFIX)]
    for one in others:
        if one.direct_action and hook.direction == "egress" and one.preference < divert.FIRST_PREFERENCE:
            what = f"BPF program {one.name or 'without a name'} (preference {one.preference})"
            if named:
                notes.append(f"{hook}: {what} runs twice for each packet that is delayed")
            else:
                remedy = "would run twice for each delayed packet; name the interface to have it so all the same"
                problems.append(Problem(hook.interface, what, remedy))
    behind = sorted({str(one.preference) for one in others if one.preference >= divert.FIRST_PREFERENCE})
    if behind:
        notes.append(
            f"{hook}: filters behind ours (preference {', '.join(behind)}) do not act on packets that are delayed"
        )
    return problems, notes


def _matched(wanted: Mapping[divert.Hook, Selectors]) -> list[str]:
    return [f"{hook}: {selectors}" for hook, selectors in wanted.items()]


def _about(chosen: Sequence[Link], traffic: Traffic) -> list[str]:
    notes = [_UNPROTECTED]
    if traffic.direction == "ingress" and (traffic.to or traffic.to_ports):
        notes.append("ingress alone is named from the packet's view: `to` and `to-port` are this host's own")
    if (traffic.to_ports or traffic.from_ports) and not traffic.fragments:
        notes.append("later fragments carry no ports: they are left alone and counted; --fragments takes them along")
    for link in chosen:
        if link.kind == "veth":
            notes.append(f"{link.name} is a veth: if its peer is a container's, what is ingress here is egress there")
        if not link.up:
            notes.append(f"{link.name} is down: nothing will pass")
    return notes


def _protected_facts(protected: Protected) -> dict[str, str]:
    words = {number: word for word, number in PROTOCOLS.items()}
    ports = [f"{words[protocol]}/{port}" for protocol, port in sorted(protected.ports)]
    return {"never touched": ", ".join([*ports, *map(str, protected.networks), "DHCP", "neighbour discovery"])}
