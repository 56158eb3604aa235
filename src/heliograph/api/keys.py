"""Keys for agents: `hgk_`, the account's name in base64url, `_`, and a secret of 120 bits.

The name finds the account. Of the secret only a hash is kept; it is random, so one that is fast will do.
"""

import base64
import hmac
import re
from hashlib import sha256

SECRET_LENGTH = 20
"""Of `Ids.password`, in base64url as well: an underscore in it doesn't end the name, as its length is known."""
_KEY = re.compile(rf"hgk_([A-Za-z0-9_-]{{2,}})_([A-Za-z0-9_-]{{{SECRET_LENGTH}}})", re.ASCII)


def new_key(account_name: str, secret: str) -> str:
    """The key of an account. secret: from `Ids.password`."""
    return f"hgk_{base64.urlsafe_b64encode(account_name.encode()).decode().rstrip('=')}_{secret}"


def hash_key(key: str) -> str:
    """A key as it is kept: SHA-256, in hex."""
    return sha256(key.encode()).hexdigest()


def is_key(key: str, key_hash: str) -> bool:
    """Whether a key has that hash; as slow for those that nearly do."""
    return hmac.compare_digest(hash_key(key), key_hash)


def name_in_key(key: str) -> str | None:
    """The name of the account whose key it would be; None for what is no key."""
    parts = _KEY.fullmatch(key)
    if parts is None:
        return None
    try:
        return base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode()
    except ValueError:
        return None
