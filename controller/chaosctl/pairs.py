"""Labels as typed: `key=value`."""

from collections.abc import Iterable

from chaos_protocol.problems import Problem


def pairs_of(culprit: str, given: Iterable[str]) -> tuple[dict[str, str], list[Problem]]:
    """The pairs, and what is no pair."""
    pairs: dict[str, str] = {}
    problems = []
    for text in given:
        key, equals, value = text.partition("=")
        if key and equals:
            pairs[key] = value
        else:
            problems.append(Problem(culprit, text, "must be KEY=VALUE, as role=web"))
    return pairs, problems
