"""The flags that say which configuration and which database a command works with."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from heliograph.config.reading import load_settings
from heliograph.config.settings import Settings

DatabaseFlag = Annotated[
    str | None,
    Parameter(metavar="URL", help="The database: sqlite:///heliograph.db, or postgresql://USER@HOST/DATABASE."),
]
ConfigFlag = Annotated[
    Path | None,
    Parameter(metavar="FILE", help="The configuration; without it ./heliograph.toml is read if it is there."),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StoreFlags:
    """Where jobs and accounts are kept."""

    database: DatabaseFlag = None
    config: ConfigFlag = None

    def settings(self) -> Settings:
        """The settings in force. Raises SettingsInvalid."""
        return load_settings(self.config, os.environ, {"database.url": self.database})
