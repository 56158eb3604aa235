"""Credentials → Account. HTTP Basic (RFC 7617), passwords kept as Argon2id; agents show a key (`api.keys`).

A password is checked once, for that takes 23 ms on purpose; then it is known by a keyed digest of its header.
"""

import asyncio
import base64
import ipaddress
import secrets  # noqa: TID251 # for a secret of this process, not for ids
from collections import OrderedDict
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from hashlib import blake2b

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from heliograph.api.keys import is_key, name_in_key
from heliograph.clock import Clock
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import HeliographError, Overloaded
from heliograph.store.interface import AccountStore

ACCOUNT_FRESH_S = 1.0
"""How soon a changed or disabled account is noticed. A new password, or account, holds at once."""
FREE_FAILURES = 3
"""Wrong passwords from one address before it is slowed."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.25, 2.0
"""Each further one doubles it. The longest is shorter than clients wait: they are to see the 401, and mend it."""
FORGIVEN_AFTER_S = 300.0
MAX_WAITING, MAX_SLOWED = 1000, 8
"""Requests of one address that wait for their check, and while it is slowed; more are turned away."""
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

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._digest_key = secrets.token_bytes(32)  # a secret of this process, not an id
        self._proven: OrderedDict[bytes, tuple[str, str]] = OrderedDict()
        self._accounts: dict[str, tuple[float, Account | None]] = {}
        self._checks: dict[tuple[bytes, str], asyncio.Future[Account]] = {}
        self._slowdown = Slowdown()
        # One thread: hashing takes a core, and the other one serves.
        self._checkers = ThreadPoolExecutor(1, thread_name_prefix="argon2")

    async def authenticate(self, header: str | None, source: str) -> Account:
        """The account of an Authorization header.

        source: the address that the request came from; wrong passwords slow it down.
        Raises CredentialsWrong, or Overloaded when too many of its requests are being slowed already.
        """
        if header is None:
            raise CredentialsWrong("this needs an account: send its name and password (HTTP Basic authentication)")
        digest = blake2b(header.encode(), key=self._digest_key, digest_size=16).digest()
        known = await self._known(digest)
        if known is not None:
            return _enabled(known)
        name, password = _parse(header)
        check = self._checks.get((digest, source))
        if check is None:
            # Owner: this object; it outlives the request, for others may wait for it, and ends by itself.
            check = asyncio.ensure_future(self._check(name, password, digest, source))
            self._checks[digest, source] = check
            check.add_done_callback(lambda done: self._checked(digest, source, done))
        # A client opens many connections at once: the first one's check holds for all, whatever it says.
        return _enabled(await asyncio.shield(check))

    def last_known(self, header: str | None) -> Account | None:
        """The account of a header that was once right, as it was when it was last read; for while the store is away."""
        if header is None:
            return None
        digest = blake2b(header.encode(), key=self._digest_key, digest_size=16).digest()
        name, password_hash = self._proven.get(digest, ("", ""))
        _, account = self._accounts.get(name, (0.0, None))
        return account if account is not None and account.password_hash == password_hash else None

    async def authenticate_agent(self, key: str, source: str) -> Account:
        """The account of a key; what stands in its `mcp` is switched on.

        source: as of `authenticate`. Raises the same.
        """
        name = name_in_key(key)
        account = _agent_of(None if name is None else await self._account(name), key)
        if account is None:
            async with self._slowdown.turn(source, self._clock.monotonic()):
                await self._clock.sleep(self._slowdown.delay_s(source, self._clock.monotonic()))
                # What is remembered may be from before the key was made.
                account = _agent_of(None if name is None else await self._read_account(name), key)
                if account is None:
                    self._slowdown.failed(source, self._clock.monotonic())
                    raise CredentialsWrong(
                        "the key is wrong, or has been replaced; check it, or ask your operator for another: "
                        "heliograph account mcp NAME --new-key"
                    )
        return account

    def _checked(self, digest: bytes, source: str, check: "asyncio.Future[Account]") -> None:
        del self._checks[digest, source]
        if not check.cancelled():
            check.exception()  # Taken note of, though everybody who waited for it may have gone.

    async def _check(self, name: str, password: str, digest: bytes, source: str) -> Account:
        async with self._slowdown.turn(source, self._clock.monotonic()):
            await self._clock.sleep(self._slowdown.delay_s(source, self._clock.monotonic()))
            account = await self._account(name)
            right = await self._is_right(account, password)
            if account is None or not right:
                # What is remembered may be from before the account was added, or got this password.
                before, account = account, await self._read_account(name)
                if account is not None and (before is None or account.password_hash != before.password_hash):
                    right = await self._is_right(account, password)
            if account is None or not right:
                self._slowdown.failed(source, self._clock.monotonic())
                raise CredentialsWrong("the name or the password is wrong; check both, or ask your operator")
        self._proven[digest] = (account.name, account.password_hash)
        if len(self._proven) > MAX_REMEMBERED:
            self._proven.popitem(last=False)
        return account

    async def _is_right(self, account: Account | None, password: str) -> bool:
        password_hash = account.password_hash if account is not None else _NOBODY
        return await asyncio.get_running_loop().run_in_executor(self._checkers, _verify, password_hash, password)

    async def _known(self, digest: bytes) -> Account | None:
        name, password_hash = self._proven.get(digest, ("", ""))
        account = await self._account(name) if password_hash else None
        return account if account is not None and account.password_hash == password_hash else None

    async def _account(self, name: str) -> Account | None:
        read_at, account = self._accounts.get(name, (float("-inf"), None))
        if self._clock.monotonic() - read_at > ACCOUNT_FRESH_S:
            return await self._read_account(name)
        return account

    async def _read_account(self, name: str) -> Account | None:
        now = self._clock.monotonic()
        account = await self._store.account(name)
        if len(self._accounts) >= MAX_REMEMBERED:
            self._accounts.clear()
        self._accounts[name] = (now, account)
        return account


def _enabled(account: Account) -> Account:
    if account.disabled:
        raise CredentialsWrong(f"the account {account.name} is disabled; ask your operator to enable it")
    return account


def _agent_of(account: Account | None, key: str) -> Account | None:
    """The account, if the key is its."""
    if account is None or account.mcp is None or not is_key(key, account.mcp.key_hash):
        return None
    if not account.mcp.enabled:
        raise CredentialsWrong(
            f"MCP is switched off for the account {account.name}; ask your operator to switch it on: "
            "heliograph account mcp NAME --enable"
        )
    return _enabled(account)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _parse(header: str) -> tuple[str, str]:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise CredentialsWrong("only HTTP Basic authentication is known here: send `Authorization: Basic …`")
    # Clients use either alphabet of RFC 4648, and some leave out the padding.
    token = token.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        decoded = _text(base64.b64decode(token + "=" * (-len(token) % 4), validate=True))
    except ValueError as error:
        wrong = "the Basic token can't be read; it must be base64 of name:password in UTF-8"
        raise CredentialsWrong(wrong) from error
    name, colon, password = decoded.partition(":")
    if not colon:
        raise CredentialsWrong("the Basic token has no colon; it must be base64 of name:password in UTF-8")
    return name, password


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")  # As the Node.js SDK sends it: JavaScript's btoa knows nothing else.


class Slowdown:
    """Makes an address that sends wrong passwords wait, longer each time; accounts are not touched."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    def failed(self, source: str, now_s: float) -> None:
        """A wrong password came from an address."""
        source = _network(source)
        count, last_s = self._failures.pop(source, (0, now_s))
        self._failures[source] = (count + 1 if now_s - last_s <= FORGIVEN_AFTER_S else 1, now_s)
        if len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def delay_s(self, source: str, now_s: float) -> float:
        """How long a check for an address must wait."""
        count, last_s = self._failures.get(_network(source), (0, 0.0))
        if now_s - last_s > FORGIVEN_AFTER_S or count < FREE_FAILURES:
            return 0.0
        return min(FIRST_DELAY_S * 2.0 ** (count - FREE_FAILURES), LONGEST_DELAY_S)

    @asynccontextmanager
    async def turn(self, source: str, now_s: float) -> AsyncGenerator[None]:
        """One check at a time for each address. Raises Overloaded when too many wait for theirs."""
        network = _network(source)
        lock, waiting = self._turns.get(network, (asyncio.Lock(), 0))
        if waiting >= (MAX_SLOWED if self.delay_s(source, now_s) else MAX_WAITING):
            raise Overloaded("too many requests of your address wait for their password to be checked", 10)
        self._turns[network] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            _, waiting = self._turns[network]
            if waiting == 1:
                del self._turns[network]
            else:
                self._turns[network] = (lock, waiting - 1)


def _network(source: str) -> str:
    """An address as one customer has it: for IPv6 its /64."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if address.version == 4:
        return source
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
