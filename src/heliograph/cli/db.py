"""`heliograph db`: what an operator does to the database itself."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from heliograph.cli.examples import examples
from heliograph.cli.service_flags import StoreFlags
from heliograph.clock import SystemClock
from heliograph.config.addresses import SqliteUrl
from heliograph.databases import copy_database, upgrade_schema

app = App(
    name="db",
    help="Look after the database.",
    help_epilogue=examples("heliograph db upgrade", "heliograph db copy --help"),
)


@app.command(
    help_epilogue="On PostgreSQL the nodes of the older version go on meanwhile: upgrade the database first, then the "
    "nodes, one after the other. A node of a newer version doesn't start on an older schema. On SQLite `serve` does it "
    "by itself.\n\n"
    + examples(
        "heliograph db upgrade",
        "heliograph db upgrade --database postgresql://heliograph@db.example/heliograph",
    )
)
def upgrade(*, store: StoreFlags | None = None) -> None:
    """Bring the database's schema to this version's; an empty database is set up. Does no harm twice."""
    database = (store or StoreFlags()).settings().database
    before, after = asyncio.run(upgrade_schema(database))
    if before == after:
        print(f"The database has schema {after} already.", file=sys.stderr)
    else:
        print(f"The database has schema {after} now; before it was {before or 'empty'}.", file=sys.stderr)


@app.command(
    help_epilogue="Stop the service first. The database must be empty: its schema is made where there is none. Broken "
    "off, nothing is copied; done again, it is compared. The file is only read. Afterwards start the service with the "
    "new database, and never again with the file: both would send.\n\n"
    + examples(
        "heliograph db copy heliograph.db --database postgresql://db/heliograph",
    )
)
def copy(
    source: Annotated[str, Parameter(name="FILE", help="The SQLite database, as a path or a sqlite:/// URL.")],
    /,
    *,
    store: StoreFlags | None = None,
) -> None:
    """Copy an installation from SQLite to PostgreSQL: accounts, jobs, SMS, what waits, and all else."""
    path = SqliteUrl.parse(source).path if source.startswith("sqlite:") else Path(source)
    database = (store or StoreFlags()).settings().database
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<13}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(table: str, done: int, count: int) -> None:
            if table not in tasks:
                tasks[table] = bars.add_task(table, total=count)
            bars.update(tasks[table], completed=done)

        copied = asyncio.run(copy_database(path, database, SystemClock().now(), show))
    for table, count in copied.counts.items():
        print(f"{table:<14} {count:>12,}")
    said = (
        "All of it is copied, and counted."
        if copied.is_new
        else "It had been copied before: all counts, accounts and job ids agree."
    )
    print(said, file=sys.stderr)
