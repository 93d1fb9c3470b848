"""The law of the host's owner: what no controller may go beyond here, whoever asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos_protocol import values
from chaos_protocol.problems import Problem
from chaos_protocol.v1 import options_pb2


@dataclass(frozen=True, slots=True)
class Most:
    """The largest value allowed for a parameter, as written and in its base unit."""

    key: str
    unit: int
    number: int
    written: str


@dataclass(frozen=True, slots=True)
class Law:
    """Limits from agent.yaml. Keys of the mappings are (kind, field name)."""

    kinds: Sequence[str] = ()
    longest_duration_ns: int = 3600 * 10**9
    most_injections: int = 8
    most: Mapping[tuple[str, str], Most] = field(default_factory=dict)
    only: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    never: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    def problems(self, kind: str, parameters: Mapping[str, Any], duration_ns: int) -> Iterator[Problem]:
        """What of a request goes beyond the law."""
        if self.kinds and kind not in self.kinds:
            yield Problem("fault", kind, f"this host's agent.yaml allows only {', '.join(self.kinds)}")
        if duration_ns > self.longest_duration_ns:
            shown = values.show(options_pb2.UNIT_DURATION, duration_ns)
            longest = values.show(options_pb2.UNIT_DURATION, self.longest_duration_ns)
            yield Problem("duration", shown, f"this host's agent.yaml allows at most {longest}")
        for (of, name), most in self.most.items():
            if of == kind and int(parameters.get(name, 0)) > most.number:
                shown = values.show(most.unit, parameters[name])
                yield Problem(most.key, shown, f"this host's agent.yaml allows at most {most.written}")

    def problems_of_facts(self, kind: str, facts: Mapping[str, str]) -> Iterator[Problem]:
        """The same for what the parameters became on this host."""
        for allowed, rules in ((True, self.only), (False, self.never)):
            for (of, name), listed in rules.items():
                for value in facts.get(name, "").split(", ") if of == kind else ():
                    if value and (value in listed) is not allowed:
                        words = f"allows only {', '.join(listed)}" if allowed else "forbids it"
                        yield Problem(name, value, f"this host's agent.yaml {words}")

    def describe(self) -> dict[str, str]:
        """The law for the plan and `chaosctl hosts`."""
        said = {"longest_duration": values.show(options_pb2.UNIT_DURATION, self.longest_duration_ns)}
        said["most_injections"] = str(self.most_injections)
        if self.kinds:
            said["kinds"] = ", ".join(self.kinds)
        said |= {f"most {kind}.{most.key}": most.written for (kind, _), most in self.most.items()}
        for word, rules in (("only", self.only), ("never", self.never)):
            said |= {f"{word} {kind}.{name}": ", ".join(listed) for (kind, name), listed in rules.items()}
        return said
