"""Every order of events that the network and crashes allow, against the rules that decide whether anything may start.

Two controllers' terms, two sends of one id, loss, reordering, duplication, two aborts, their lift, a controller
restart, two agent restarts, the deadline. Explored exhaustively; each state is visited once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from chaos_agent.standing import Guard, Order, Standing, objections_to_start

FLEET, ID = "lab", "one"


@dataclass(frozen=True)
class Sent:
    """An Inject on its way, and how many aborts its agent had heard of when it issued the guard."""

    guard: Guard
    aborts_then: int
    waited: bool = False  # admitted, journalled, not gone


@dataclass(frozen=True)
class World:
    standing: Standing = field(default_factory=lambda: Standing(generation=1, term=1))
    on_the_way: frozenset[Sent] = frozenset()
    sends: int = 0
    term: int = 1
    hello_due: bool = False
    aborts_sent: frozenset[str] = frozenset()
    lift_sent: bool = False
    restarts: int = 0
    live: bool = False
    admitted: Sent | None = None
    ended: bool = False
    reverted: bool = False
    starts: int = 0
    broken: str = ""


def objects(world: World, sent: Sent, dropped: str) -> bool:
    ended = {ID} if world.ended else set()
    found = objections_to_start(world.standing, FLEET, sent.guard, now=0, ended_ids=ended, injection_id=ID)
    return any(objection.culprit != dropped for objection in found)


def controller_acts(world: World) -> Iterator[World]:
    if world.sends < 2:
        guard = Guard(FLEET, world.term, world.standing.generation, 0)
        sent = Sent(guard, len(world.standing.orders))
        yield replace(world, sends=world.sends + 1, on_the_way=world.on_the_way | {sent})
    if world.term == 1:
        yield replace(world, term=2, hello_due=True)
    if world.hello_due:
        yield replace(world, hello_due=False, standing=world.standing.heard(2, [1]))
    for name in ("a", "b"):  # an abort on its way may arrive more than once
        yield replace(world, aborts_sent=world.aborts_sent | {name})
    if world.aborts_sent and not world.lift_sent:
        yield replace(world, lift_sent=True)


def messages_arrive(world: World, dropped: str) -> Iterator[World]:
    for name in world.aborts_sent:
        ended = world.live or world.admitted is not None or world.ended
        yield replace(world, standing=world.standing.aborted([Order(name)]), live=False, ended=ended)
    if world.lift_sent:
        yield replace(world, standing=world.standing.lift(world.aborts_sent))
    yield replace(world, ended=True, live=False, reverted=True)  # Revert, answered with a tombstone
    for sent in world.on_the_way:
        yield replace(world, on_the_way=world.on_the_way - {sent})
        if not world.live and world.admitted is None and not objects(world, sent, dropped):
            yield replace(world, admitted=sent)


def agent_acts(world: World, dropped: str) -> Iterator[World]:
    if sent := world.admitted:
        recheck = dropped != "recheck" and objects(world, sent, dropped)
        yield replace(world, admitted=None, ended=True) if recheck else start(replace(world, admitted=None), sent)
    if world.restarts < 2:
        ended = world.ended or world.live or world.admitted is not None
        restarted = replace(world, restarts=world.restarts + 1, standing=world.standing.started())
        yield replace(restarted, live=False, admitted=None, ended=ended)
    if world.live:
        yield replace(world, live=False, ended=True)  # deadline


def start(world: World, sent: Sent) -> World:
    broken = ""
    if world.starts:
        broken = "an id started twice"
    elif world.reverted:
        broken = "started after its revert was answered"
    elif len(world.standing.orders) > sent.aborts_then:
        broken = "admitted before an abort, started after it"
    elif sent.guard.term < world.standing.term:
        broken = "started for a superseded controller"
    return replace(world, live=True, starts=world.starts + 1, broken=broken)


def explore(dropped: str = "") -> tuple[int, set[str]]:
    seen, broken, due = {World()}, set[str](), deque([World()])
    while due:
        world = due.popleft()
        following = (*controller_acts(world), *messages_arrive(world, dropped), *agent_acts(world, dropped))
        for after in following:
            if after.broken:
                broken.add(after.broken)
            elif after not in seen:
                seen.add(after)
                due.append(after)
    return len(seen), broken


def test_no_order_of_events_breaks_a_promise() -> None:
    """Nothing starts after an abort, after its revert, twice, or for a superseded controller."""
    states, broken = explore()

    assert broken == set()
    assert states > 4_000


@pytest.mark.parametrize(
    ("dropped", "breaks"),
    [
        # rule left out, what happens then
        pytest.param("generation", "admitted before an abort, started after it", id="generation"),
        pytest.param("term", "started for a superseded controller", id="term"),
        pytest.param("injection", "started after its revert was answered", id="tombstone"),
        pytest.param("recheck", "started after its revert was answered", id="second look before go"),
    ],
)
def test_every_rule_is_needed(dropped: str, breaks: str) -> None:
    """Leave one rule out and some order of events breaks a promise."""
    _, broken = explore(dropped)

    assert breaks in broken
