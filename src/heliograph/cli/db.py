"""`heliograph db`: what an operator does to the database itself."""

import asyncio
import sys

from cyclopts import App

from heliograph.cli.examples import examples
from heliograph.cli.service_flags import StoreFlags
from heliograph.config import upgrade_schema

app = App(name="db", help="Look after the database.")


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
