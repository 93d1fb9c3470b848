"""What was meant by a word that we don't know: words that other tools use, the catalogue's aliases, and likeness."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

# What other tools call it, and what it is called here.
SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(["stop", "cancel", "halt", "destroy", "recover", "delete", "kill", "end", "revert"], "abort"),
    **dict.fromkeys(["undo", "rm", "remove", "terminate", "panic"], "abort"),
    **dict.fromkeys(["attack", "start", "run", "create", "apply", "exec"], "inject"),
    **dict.fromkeys(["dry-run", "check", "preview"], "plan"),
    **dict.fromkeys(["ls", "ps", "get", "experiments", "history", "search"], "list"),
    **dict.fromkeys(["describe", "inspect", "query"], "show"),
    **dict.fromkeys(["follow", "tail", "wait"], "watch"),
    **dict.fromkeys(["nodes", "agents", "targets", "inventory"], "hosts"),
    **dict.fromkeys(["kinds", "catalog", "catalogue", "types"], "faults"),
    **dict.fromkeys(["log", "logs", "events"], "audit"),
    **dict.fromkeys(["resume", "lift", "unfence", "unlock"], "fence lift"),
    **dict.fromkeys(["enrol-token", "token", "join-token", "enroll", "enrol"], "enroll-token"),
    **dict.fromkeys(["info", "version", "health"], "status"),
    "label": "hosts label",
    "retire": "hosts retire",
    "accept": "hosts accept",
}


def command_for(word: str, known: Iterable[str], synonyms: Mapping[str, str] = SYNONYMS) -> str:
    """The command that was probably meant, or nothing."""
    known = list(known)
    meant = synonyms.get(word.lower(), "")
    if meant.partition(" ")[0] in known:
        return meant
    begins = [name for name in known if len(word) > 1 and name.startswith(word.lower())]
    likely = begins or get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return likely[0] if likely else ""


def flags_for(word: str, known: Mapping[str, Iterable[str]]) -> list[str]:
    """The flags that were probably meant by `--word`: aliases first, then beginnings, then likeness.

    `known` has the aliases of every flag, without dashes.
    """
    bare = word.lstrip("-").lower().replace("_", "-")
    forms = {bare, bare.removesuffix("s"), f"{bare}s"}
    if named := [flag for flag, aliases in known.items() if forms & {flag.lstrip("-"), *aliases}]:
        return named
    if begins := [flag for flag in known if len(bare) > 1 and flag.lstrip("-").startswith(bare)]:
        return begins[:3]
    spoken = {alias: flag for flag, aliases in known.items() for alias in [*aliases, flag.lstrip("-")]}
    likely = get_close_matches(bare, spoken, n=1, cutoff=0.7)
    return [spoken[match] for match in likely]
