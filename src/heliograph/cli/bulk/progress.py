"""How far it is: a bar on a terminal, and what is worth a line anywhere."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from heliograph.cli.exits import say


class Shown(Protocol):
    """Where progress is told."""

    def advance(self, count: int, *, just_now: bool = True) -> None:
        """So many more are done. just_now: not by an earlier run, which says nothing about speed."""
        ...

    def note(self, message: str) -> None:
        """Something that a person wants to know now, such as why nothing moves."""
        ...


class Unseen:
    """Where nobody watches: notes alone."""

    def advance(self, count: int, *, just_now: bool = True) -> None:
        pass

    def note(self, message: str) -> None:
        say(message)


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


class _Bar:
    def __init__(self, progress: Progress, what: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)
        self._begun = False

    def advance(self, count: int, *, just_now: bool = True) -> None:
        if just_now:
            self._begun = True
            self._progress.advance(self._task, count)
        elif not self._begun:
            # Its own clock starts anew, or what an earlier run did would count as this one's speed.
            done = self._progress.tasks[0].completed + count
            self._progress.reset(self._task, completed=int(done))

    def note(self, message: str) -> None:
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(what: str, total: int | None) -> Generator[Shown]:
    """Progress towards a total, on stderr.

    What is printed to stdout meanwhile stands above the bar where both are the same terminal, and goes its own way
    where stdout is a file or a pipe.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Unseen()
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=Console().is_terminal,
    )
    with bar:
        yield _Bar(bar, what, total)
