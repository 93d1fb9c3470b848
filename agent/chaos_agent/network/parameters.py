"""From parameters to selectors, and selectors to and from the undo's JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Self, cast

from chaos_protocol.problems import Problem

from chaos_agent.contract import Parameters
from chaos_agent.host.names import resolve
from chaos_agent.network.selectors import PROTOCOLS, Network, Ports, Protected, Selectors, short

MOST_NETWORKS = 512
"""What one program checks one after the other; jumps in it reach over more, packets should not have to."""

Resolver = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic a fault was asked for, as it was written: names are not yet looked up."""

    direction: str = "egress"
    interfaces: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    except_to: tuple[str, ...] = ()
    to_ports: tuple[Ports, ...] = ()
    from_ports: tuple[Ports, ...] = ()
    protocols: tuple[str, ...] = ()
    fragments: bool = False

    @classmethod
    def read(cls, parameters: Parameters) -> Self:
        return cls(
            direction=str(parameters.get("direction", "egress")),
            interfaces=_words(parameters, "interface"),
            to=_words(parameters, "to"),
            except_to=_words(parameters, "except_to"),
            to_ports=_ports(parameters, "to_port"),
            from_ports=_ports(parameters, "from_port"),
            protocols=_words(parameters, "protocol"),
            fragments=bool(parameters.get("fragments", False)),
        )

    @property
    def directions(self) -> tuple[str, ...]:
        return ("egress", "ingress") if self.direction == "both" else (self.direction,)

    def selectors(self, direction: str, packets: Selectors) -> Selectors:
        """Both directions mean the same conversations; one alone is taken at its word."""
        return packets.mirrored() if self.direction == "both" and direction == "ingress" else packets


@dataclass(frozen=True, slots=True)
class Reading:
    """Selectors with names looked up, what each name became, and what is wrong with them."""

    selectors: Selectors
    facts: Mapping[str, str]
    problems: Sequence[Problem]


def look_up(traffic: Traffic, protected: Protected, resolver: Resolver = resolve) -> Reading:
    """Selectors in the packet's view."""
    names = [word for word in (*traffic.to, *traffic.except_to) if _network(word) is None and "/" not in word]
    known = resolver(list(dict.fromkeys(names))) if names else {}
    to, to_problems = _networks("to", traffic.to, known)
    excluded, except_problems = _networks("except-to", traffic.except_to, known)
    selectors = Selectors(
        to=to,
        to_ports=traffic.to_ports,
        from_ports=traffic.from_ports,
        protocols=traffic.protocols,
        except_to=excluded,
        fragments=traffic.fragments,
        protected=protected,
    )
    facts = {
        key: _became(words, known) for key, words in (("to", traffic.to), ("except_to", traffic.except_to)) if words
    }
    return Reading(selectors, facts, [*to_problems, *except_problems, *_contradictions(selectors)])


def _networks(
    culprit: str, words: Iterable[str], known: Mapping[str, Sequence[str]]
) -> tuple[tuple[Network, ...], list[Problem]]:
    found: dict[Network, None] = {}
    problems = []
    for word in words:
        network = _network(word)
        if network is not None:
            found[network] = None
        elif "/" in word:
            problems.append(Problem(culprit, word, "is no network; write it like 10.0.0.0/8"))
        elif word not in known:
            problems.append(Problem(culprit, word, "this host can't look it up; give an address, or mend its DNS"))
        else:
            found.update((ip_network(address), None) for address in known[word])
    if len(found) > MOST_NETWORKS:
        problems.append(Problem(culprit, f"{len(found)} networks", f"name at most {MOST_NETWORKS}"))
    return tuple(found), problems


def _contradictions(selectors: Selectors) -> list[Problem]:
    problems = []
    if selectors.by_port and selectors.protocols and set(selectors.protocols) <= {"icmp"}:
        problems.append(Problem("protocol", "icmp", "has no ports; leave the ports out or name tcp or udp"))
    if set(selectors.protocols) == {"tcp"}:
        shut = set(selectors.protected.ports_of(4, PROTOCOLS["tcp"]))
        for culprit, ranges in (("to-port", selectors.to_ports), ("from-port", selectors.from_ports)):
            wanted = {port for first, last in ranges if last - first < 1024 for port in range(first, last + 1)}
            if ranges and wanted and wanted <= shut and all(last - first < 1024 for first, last in ranges):
                listed = ", ".join(str(port) for port in sorted(wanted))
                problems.append(Problem(culprit, listed, "is protected on this host; choose others"))
    return problems


def _network(word: str) -> Network | None:
    try:
        return ip_network(word.partition("%")[0], strict=False)  # packets carry no zone
    except ValueError:
        return None


def _became(words: Iterable[str], known: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{word} = {', '.join(known[word])}" if word in known else word for word in words)


def _words(parameters: Parameters, key: str) -> tuple[str, ...]:
    return tuple(str(word) for word in cast(Iterable[object], parameters.get(key, ())))


def _ports(parameters: Parameters, key: str) -> tuple[Ports, ...]:
    ranges = cast(Iterable[Mapping[str, int]], parameters.get(key, ()))
    return tuple((int(ports["first"]), int(ports.get("last", ports["first"]))) for ports in ranges)


def selectors_to_json(selectors: Selectors) -> dict[str, object]:
    """All but what is protected, which is the same for all legs."""
    return {
        "to": [short(network) for network in selectors.to],
        "source": [short(network) for network in selectors.source],
        "to_ports": [list(ports) for ports in selectors.to_ports],
        "from_ports": [list(ports) for ports in selectors.from_ports],
        "protocols": list(selectors.protocols),
        "except_to": [short(network) for network in selectors.except_to],
        "except_source": [short(network) for network in selectors.except_source],
        "fragments": selectors.fragments,
    }


def selectors_from_json(stored: Mapping[str, object], protected: Protected) -> Selectors:
    def networks(key: str) -> tuple[Network, ...]:
        return tuple(ip_network(network) for network in cast(Iterable[str], stored[key]))

    def ports(key: str) -> tuple[Ports, ...]:
        return tuple((first, last) for first, last in cast(Iterable[Sequence[int]], stored[key]))

    return Selectors(
        to=networks("to"),
        source=networks("source"),
        to_ports=ports("to_ports"),
        from_ports=ports("from_ports"),
        protocols=tuple(cast(Iterable[str], stored["protocols"])),
        except_to=networks("except_to"),
        except_source=networks("except_source"),
        fragments=bool(stored["fragments"]),
        protected=protected,
    )


def protected_to_json(protected: Protected) -> dict[str, object]:
    return {
        "ports": sorted([protocol, port] for protocol, port in protected.ports),
        "networks": [short(network) for network in protected.networks],
    }


def protected_from_json(stored: Mapping[str, object]) -> Protected:
    ports = cast(Iterable[Sequence[int]], stored["ports"])
    networks = cast(Iterable[str], stored["networks"])
    return Protected(frozenset((first, last) for first, last in ports), tuple(ip_network(word) for word in networks))
