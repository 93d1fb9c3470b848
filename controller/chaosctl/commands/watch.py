"""`watch`: follow an experiment to its end. Leaving only stops looking."""

import click

from chaosctl import ids, session, views
from chaosctl.commandline import Command
from chaosctl.exits import Exit
from chaosctl.follow import Follower, Screen
from chaosctl.following import Following
from chaosctl.live import Board, screen
from chaosctl.output import as_json, as_yaml, emit
from chaosctl.session import Session


class Updates:
    """For programs: every change as a document of its own, a line of JSON or a `---` of YAML."""

    def __init__(self, here: Session, following: Following) -> None:
        self._here = here
        self._following = following
        self._told: object = None

    def show(self, _: Board) -> None:
        """Print the experiment when it has changed."""
        experiment = self._following.experiment
        if experiment and experiment != self._told:
            self._told = experiment
            text = as_json(experiment, None) if self._here.output == "json" else f"---\n{as_yaml(experiment)}"
            self._here.terminal.data(text)

    def say(self, text: str) -> None:
        """Notes go to stderr."""
        self._here.terminal.note(text)


@click.pass_context
def _watch(context: click.Context, identifier: str) -> Exit:
    here = session.of(context)
    following = Following(owner=False, experiment=here.client.show(ids.whole(here.client, identifier)))
    if here.output != "table":
        return _followed(here, following, Updates(here, following))
    with screen(here.terminal) as view:
        finish = Follower(here.client, following, view).follow()
    emit(here, following.experiment, views.experiment_page)
    here.terminal.note(finish.text)
    return finish.code


def _followed(here: Session, following: Following, view: Screen) -> Exit:
    finish = Follower(here.client, following, view).follow()
    here.terminal.note(finish.text)
    return finish.code


command = Command(
    "watch",
    callback=_watch,
    help="Follow an experiment to its end. Ctrl-C only stops watching; the experiment goes on.",
    epilog="With -o json every change is one line of JSON, with -o yaml one document behind `---`.",
    params=[click.Argument(["identifier"], metavar="ID")],
)
