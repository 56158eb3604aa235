"""jobs/targets.py: where a webhook may lead."""

from ipaddress import ip_address

import pytest

from heliograph.jobs.targets import is_public, url_fault

PRIVATE = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.178.1", "198.18.0.1", "198.51.100.7"),
    *("203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "fe80::1"),
    *("fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1", "100::1", "2001::1", "2001:db8::1", "2001:10::1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::", "3fff::1", "5f00::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "4000::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0"),
    *("223.255.255.1", "2606:4700:4700::1111", "2a00:1450:4001:800::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"),
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_the_internet_at_large_is_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_at_large_is_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_in_a_url_is_looked_at(address):
    host = f"[{address}]" if ":" in address else address
    assert "private" in url_fault(f"https://{host}:8443/x", allow_private=False)
    assert url_fault(f"http://{host}:8443/x", allow_private=True) is None


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.com", "https://example.com/", "https://example.com:8443/a/b?c=d&e=%20", "HTTPS://EXAMPLE.com."),
        *("https://xn--bcher-kva.example/x", "https://a_b.example.com/", "https://1.1.1.1/x", "https://[2606:4700::1]/x"),
        *("https://example.com?x=1", "https://123.example.com", "https://a@b".replace("a@b", "a-b")),
    ],
)  # fmt: skip
def test_a_url_that_can_be_called_has_no_fault(url):
    assert url_fault(url, allow_private=False) is None


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must begin with https://"),
        ("example.com/x", "must begin with https://"),
        ("//example.com/x", "must begin with https://"),
        ("https:example.com", "must have the name of a host"),
        ("https:///x", "must have the name of a host"),
        ("https://user:secret@example.com/", "must not have credentials"),
        ("https://user@example.com/", "must not have credentials"),
        ("https://example.com/#here", "must not have a fragment"),
        ("https://example.com:0/", "must have a port"),
        ("https://example.com:/", "must have a port"),
        ("https://example.com:99999/", "can't be read as a URL"),
        ("https://example.com:x/", "can't be read as a URL"),
        ("https://[::1/", "can't be read as a URL"),
        ("https://[v1.x]/", "must name its host"),
        ("https://2130706433/", "must name its host"),
        ("https://0x7f000001/", "must name its host"),
        ("https://0177.0.0.1/", "must name its host"),
        ("https://127.1/", "must name its host"),
        ("https://127.0.0.0x1/", "must name its host"),
        ("https://exa mple.com/", "must have printable ASCII"),
        ("https://example.com/\r\nX: y", "must have printable ASCII"),
        ("https://bücher.example/", "must have printable ASCII"),
        ("https://exa$mple.com/", "must have the name of a host"),
        ("https://-example.com/", "must have the name of a host"),
        ("https://a..example.com/", "must have the name of a host"),
        ("https://" + "a" * 64 + ".com/", "must have the name of a host"),
        ("https://example.com/" + "a" * 2048, "must have at most 2048 characters; it has 2068"),
        ("https://localhost/", "the service's own machine"),
        ("https://LOCALHOST./", "the service's own machine"),
        ("https://x.localhost/", "the service's own machine"),
    ],
)
def test_a_url_that_cannot_be_called_is_told_what_would_be_right(url, remedy):
    fault = url_fault(url, allow_private=False)
    assert fault is not None
    assert remedy in fault
    assert "secret" not in fault


def test_private_targets_may_be_allowed_and_then_need_no_encryption():
    for url in ("http://localhost:9000/x", "http://10.0.0.1/", "https://hooks.internal/", "http://[::1]:1/"):
        assert url_fault(url, allow_private=True) is None
    assert url_fault("ftp://10.0.0.1/", allow_private=True) is not None
