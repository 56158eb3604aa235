"""Credentials → Account. HTTP Basic (RFC 7617), passwords kept as Argon2id.

A password is checked once and then known by a keyed digest of its header, for checking it takes 23 ms on purpose.
"""

import asyncio
import base64
import binascii
import ipaddress
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from heliograph.clock import Clock
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import HeliographError, Overloaded
from heliograph.store.interface import Store

ACCOUNT_FRESH_S = 1.0
"""How soon a changed, disabled or new account is noticed."""
FREE_FAILURES = 3
"""Wrong passwords from one address before it is slowed."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.25, 10.0
FORGIVEN_AFTER_S = 300.0
MAX_WAITING = 8
"""Requests of one address that wait for their slowed check; more are turned away."""
MAX_REMEMBERED = 10_000
"""Addresses, and headers, that are remembered at once."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# To spend as long on a name that doesn't exist as on one that does, so that nobody can tell names by time.
_NOBODY = _hasher.hash("nobody")


class CredentialsWrong(HeliographError):
    """The customer has to send other credentials."""


def hash_password(password: str) -> str:
    """A password as it is kept: Argon2id, 19 MiB, 2 rounds."""
    return _hasher.hash(password)


class Authenticator:
    """Knows accounts by their headers."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._digest_key = secrets.token_bytes(32)  # noqa: TID251 # a secret of this process, not an id
        self._proven: OrderedDict[bytes, tuple[str, str]] = OrderedDict()
        self._accounts: dict[str, tuple[float, Account | None]] = {}
        self._slowdown = Slowdown()
        # One thread: hashing takes a core, and the other one serves.
        self._checkers = ThreadPoolExecutor(1, thread_name_prefix="argon2")

    async def authenticate(self, header: str | None, source: str) -> Account:
        """The account of an Authorization header.

        source: the address that the request came from; wrong passwords slow it down.
        Raises CredentialsWrong, or Overloaded when too many of its requests are being slowed already.
        """
        if header is None:
            raise CredentialsWrong("this needs an account: send its name and password with HTTP Basic authentication")
        digest = blake2b(header.encode("utf-8", "surrogateescape"), key=self._digest_key, digest_size=16).digest()
        proven = self._proven.get(digest)
        if proven is not None:
            account = await self._account(proven[0])
            if account is not None and account.password_hash == proven[1]:
                return _enabled(account)
        name, password = _parse(header)
        async with self._slowdown.turn(source, self._clock):
            account = await self._account(name)
            password_hash = account.password_hash if account is not None else _NOBODY
            right = await asyncio.get_running_loop().run_in_executor(
                self._checkers, _verify, password_hash, password
            )
            if account is None or not right:
                self._slowdown.failed(source, self._clock.monotonic())
                raise CredentialsWrong("the account's name or password is wrong; check both, or ask your operator")
        self._proven[digest] = (account.name, account.password_hash)
        if len(self._proven) > MAX_REMEMBERED:
            self._proven.popitem(last=False)
        return _enabled(account)

    async def _account(self, name: str) -> Account | None:
        now = self._clock.monotonic()
        read_at, account = self._accounts.get(name, (float("-inf"), None))
        if now - read_at > ACCOUNT_FRESH_S:
            account = await self._store.account(name)
            if len(self._accounts) >= MAX_REMEMBERED:
                self._accounts.clear()
            self._accounts[name] = (now, account)
        return account


def _enabled(account: Account) -> Account:
    if account.disabled:
        raise CredentialsWrong(f"the account {account.name} is disabled; ask your operator to enable it")
    return account


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _parse(header: str) -> tuple[str, str]:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise CredentialsWrong("this service knows HTTP Basic authentication only: send `Authorization: Basic …`")
    # Clients use either alphabet of RFC 4648, and some leave out the padding.
    token = token.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CredentialsWrong("the Basic token can't be read; it must be base64 of name:password in UTF-8") from error
    name, colon, password = decoded.partition(":")
    if not colon:
        raise CredentialsWrong("the Basic token has no colon; it must be base64 of name:password in UTF-8")
    return name, password


class Slowdown:
    """Makes an address that sends wrong passwords wait, longer each time; accounts are not touched."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    def failed(self, source: str, now_s: float) -> None:
        """A wrong password came from an address."""
        source = _network(source)
        count, _ = self._failures.pop(source, (0, 0.0))
        self._failures[source] = (count + 1, now_s)
        if len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def delay_s(self, source: str, now_s: float) -> float:
        """How long a check for an address must wait."""
        count, last_s = self._failures.get(_network(source), (0, 0.0))
        if now_s - last_s > FORGIVEN_AFTER_S or count < FREE_FAILURES:
            return 0.0
        return min(FIRST_DELAY_S * 2.0 ** (count - FREE_FAILURES), LONGEST_DELAY_S)

    def turn(self, source: str, clock: Clock) -> "_Turn":
        """One check at a time for each address, after its delay."""
        return _Turn(self, _network(source), clock)

    def enter(self, source: str) -> asyncio.Lock:
        """Queue up. Raises Overloaded when the queue of an address is full."""
        lock, waiting = self._turns.get(source, (asyncio.Lock(), 0))
        if waiting >= MAX_WAITING:
            raise Overloaded("too many requests of your address wait for their password to be checked", 10)
        self._turns[source] = (lock, waiting + 1)
        return lock

    def leave(self, source: str) -> None:
        """Leave the queue."""
        lock, waiting = self._turns[source]
        if waiting == 1:
            del self._turns[source]
        else:
            self._turns[source] = (lock, waiting - 1)


class _Turn:
    def __init__(self, slowdown: Slowdown, source: str, clock: Clock) -> None:
        self._slowdown = slowdown
        self._source = source
        self._clock = clock

    async def __aenter__(self) -> None:
        self._lock = self._slowdown.enter(self._source)
        try:
            await self._lock.acquire()
        except BaseException:
            self._slowdown.leave(self._source)
            raise
        try:
            delay_s = self._slowdown.delay_s(self._source, self._clock.monotonic())
            if delay_s:
                await self._clock.sleep(delay_s)
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._slowdown.leave(self._source)


def _network(source: str) -> str:
    """An address as one customer has it: for IPv6 its /64."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if address.version == 4:
        return source
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
