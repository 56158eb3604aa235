"""Where a PostgreSQL database is: `postgresql://user:password@host1:5432,host2:5432/database?option=value`."""

from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec

OPTIONS = frozenset(
    {"host", "port", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslnegotiation"}
    | {"target_session_attrs", "ssl_min_protocol_version", "ssl_max_protocol_version"}
)
"""What can be said after the `?`; it means what it means to PostgreSQL's own programs (libpq)."""
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PRIMARY = "primary"
EXAMPLE = "write postgresql://USER@HOST/DATABASE, such as postgresql://heliograph@db.example/heliograph"

ESCAPES = "In a password ? is written as %3F, @ as %40, / as %2F, # as %23"


class PostgresqlUrl(msgspec.Struct, frozen=True):
    """A database on PostgreSQL servers of which one is the primary.

    dsn: as the driver takes it, without a password. password: None to let the driver find it (PGPASSWORD, .pgpass).
    """

    dsn: str
    shown: str
    password: str | None = None
    target_session_attrs: str = PRIMARY

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"PostgresqlUrl({self.shown!r})"

    @property
    def files(self) -> dict[str, str]:
        """The paths that it names, by option."""
        options = dict(parse_qsl(self.dsn.partition("?")[2]))
        return {name: options[name] for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl") if name in options}

    @classmethod
    def parse(cls, text: str) -> "PostgresqlUrl":
        """Raises ValueError; no part of the text is in it, for there may be a password anywhere."""
        scheme, separator, rest = text.partition("://")
        if not separator or scheme.lower() not in ("postgresql", "postgres"):
            raise ValueError(f"must begin with postgresql://; {EXAMPLE}")
        location, _, query = rest.partition("?")
        authority, _, database = location.partition("/")
        if "#" in location:
            raise ValueError(f"has a # in it, which must be written as %23; {EXAMPLE}")
        if authority.count("@") > 1:
            raise ValueError(f"has several @; one in a user name or password must be written as %40; {EXAMPLE}")
        login, _, hosts = authority.rpartition("@")
        user, has_password, password = login.partition(":")
        if "/" in database:
            raise ValueError(f"must name one database after the host; a / in it is written as %2F; {EXAMPLE}")
        if not database:
            raise ValueError(f"must name a database after the host; {EXAMPLE}. {ESCAPES}")
        options = _options(query)
        for host in hosts.split(",") if hosts else []:
            port = host.rpartition(":")[2] if not host.endswith("]") and ":" in host else ""
            if port and not (port.isdecimal() and 0 < int(port) < 65_536):
                raise ValueError(f"must have ports from 1 to 65535 (a : in a password is written as %3A); {EXAMPLE}")
        attributes = options.pop("target_session_attrs", PRIMARY)
        if attributes not in (PRIMARY, "read-write", "any"):
            raise ValueError(f"must have target_session_attrs={PRIMARY}, or none: heliograph writes; {EXAMPLE}")
        host_count = max(len(each.split(",")) for each in (hosts, options.get("host", "")))
        if attributes == "any" and host_count > 1:
            raise ValueError(
                "must not have target_session_attrs=any with several hosts: of those that answer, only the primary "
                f"takes writes; leave it out, or write {PRIMARY}"
            )
        shown_query = f"?{urlencode(options, safe='/,:')}" if options else ""
        rest_of_it = f"{hosts}/{quote(unquote(database))}{shown_query}"
        name = f"{quote(unquote(user))}@" if user else ""
        return cls(
            dsn=f"postgresql://{name}{rest_of_it}",
            shown=f"postgresql://{name}{rest_of_it}",
            password=unquote(password) if has_password else None,
            # A server is not asked for "read-write", because our own sessions that only read would not pass for it.
            target_session_attrs=PRIMARY if attributes == "read-write" else attributes,
        )


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in OPTIONS:
            known = ", ".join(sorted(OPTIONS))
            raise ValueError(f"has an option after the ? that is not known; known are {known}. {ESCAPES}")
    mode = options.get("sslmode")
    if mode is not None and mode not in SSL_MODES:
        raise ValueError(f"must have an sslmode that is one of {', '.join(SSL_MODES)}")
    if options.get("sslrootcert") == "system":
        raise ValueError(
            "must have no sslrootcert=system, which is not supported: name the file with the system's certificates, "
            "such as sslrootcert=/etc/ssl/certs/ca-certificates.crt, beside sslmode=verify-full"
        )
    return options
