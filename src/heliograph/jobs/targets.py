"""Where a webhook may lead: URLs that can be called, and addresses that are nobody's private ones.

Registries: IANA IPv4 and IPv6 Special-Purpose Address Spaces.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 2048
EXAMPLE = "https://example.com/webhooks/sms"

Address = IPv4Address | IPv6Address

_PRINTABLE = re.compile(r"[!-~]*")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_NAME = 253
_NUMERIC = re.compile(r"(?i)(0x[0-9a-f]*|[0-9]+)")
_OURSELVES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")

_NOT_PUBLIC_4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by a provider's customers
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; clouds tell a machine its secrets there
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
]
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo and other protocols' own
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to any IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
]
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet's at large, so that calling it can't reach what is private."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """What is wrong with a webhook's URL, as the end of a sentence that begins with `url`; None if nothing is.

    allow_private: private addresses, and HTTP without encryption, are nothing wrong. What a host's name leads to is
    looked at when it is called.
    """
    if len(url) > LONGEST_URL:
        return f"must have at most {LONGEST_URL} characters; it has {len(url)}"
    if not _PRINTABLE.fullmatch(url):
        return "must have printable ASCII characters only; write others percent-encoded, and a host's name in punycode"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return f"can't be read as a URL, such as {EXAMPLE}"
    if parts.scheme not in (("https", "http") if allow_private else ("https",)):
        return f"must begin with https://, such as {EXAMPLE}"
    if "@" in parts.netloc:
        return "must not have credentials in it; put a token into its path or query, or check the signature"
    if "#" in url:
        return "must not have a fragment; leave out the # and what follows"
    if port == 0 or parts.netloc.endswith(":"):
        return f"must have a port from 1 to 65535, or none, such as {EXAMPLE}"
    return _host_fault(parts, host, allow_private=allow_private)


def _host_fault(parts: SplitResult, host: str, *, allow_private: bool) -> str | None:
    address: Address | None = None
    try:
        address = ip_address(host)
    except ValueError:
        if "[" in parts.netloc or _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return "must name its host, or give its address as four decimal numbers, or as IPv6 in brackets"
    name = host.removesuffix(".")
    labels = all(_LABEL.fullmatch(label) for label in name.split("."))
    if address is None and not (labels and len(name) <= _LONGEST_NAME):
        return f"must have the name of a host, such as {EXAMPLE}"
    if allow_private:
        return None
    if address is not None and not is_public(address):
        return "must not lead to a private or reserved address; the service doesn't call those"
    if name.lower() in _OURSELVES or name.lower().endswith(".localhost"):
        return "must not lead to the service's own machine; the service doesn't call that"
    return None
