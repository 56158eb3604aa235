"""Where to listen, whom to trust, and which database: what settings hold as text and everybody else as values."""

import re
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import msgspec

from heliograph.store.postgresql.url import PostgresqlUrl


class Address(msgspec.Struct, frozen=True):
    """Where to listen. port: 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """`127.0.0.1:8480`, `localhost:8480` or `[::1]:8480`. Raises ValueError."""
        parts = re.fullmatch(r"(?:\[([^\[\]]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
        if parts is None or int(parts[3]) > 65_535:
            raise ValueError(ADDRESS_REMEDY)
        try:
            host = str(IPv6Address(parts[1])) if parts[1] else parts[2]
        except ValueError:
            raise ValueError(ADDRESS_REMEDY) from None
        return cls(host, int(parts[3]))


ADDRESS_REMEDY = (
    'must be HOST:PORT with a port from 0 (any free one) to 65535, such as "127.0.0.1:8480" or "[::1]:8480", '
    'or "0.0.0.0:8480" for every interface'
)


class Network(str):
    """The addresses of some machines, as 10.0.0.0/8; those of one are a network as well."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Network":
        """`10.0.0.7`, `10.0.0.0/8` or `fd00::/8`. Raises ValueError."""
        return cls(ip_network(text))


class SqliteUrl(msgspec.Struct, frozen=True):
    """A database in one file."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"

    @classmethod
    def parse(cls, text: str) -> "SqliteUrl":
        """`sqlite:///heliograph.db` or, absolute, `sqlite:////var/lib/heliograph.db`. Raises ValueError."""
        _, _, rest = text.partition("://")
        path = rest.removeprefix("/")
        if not rest.startswith("/"):
            raise ValueError(f"must have three slashes after sqlite: before a relative path; {_SQLITE_EXAMPLE}")
        if not path.strip("/") or path.endswith("/") or path == ":memory:" or {"?", "\0"} & set(path):
            raise ValueError(f"must name a file, and nothing after it; {_SQLITE_EXAMPLE}")
        return cls(Path(path))


_SQLITE_EXAMPLE = "write sqlite:///heliograph.db, or sqlite:////var/lib/heliograph/heliograph.db for an absolute path"
DatabaseUrl = SqliteUrl | PostgresqlUrl


def database_url(text: str) -> DatabaseUrl:
    """Raises ValueError, in which nothing of the text is: there may be a password in it."""
    match text.partition("://")[:2]:
        case (scheme, "://") if scheme.lower() == "sqlite":
            return SqliteUrl.parse(text)
        case (scheme, "://") if scheme.lower() in ("postgresql", "postgres"):
            return PostgresqlUrl.parse(text)
        case _:
            raise ValueError(
                f"must be a database URL that begins with sqlite:/// or postgresql://; {_SQLITE_EXAMPLE}, or "
                "postgresql://USER@HOST/DATABASE"
            )
