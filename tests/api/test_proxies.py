"""api/proxies.py: whose address counts."""

import asyncio

import pytest

from heliograph.api.proxies import behind_proxies
from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, basic, in_real_time

PROXY = "10.0.0.7"
TRUSTED = ["10.0.0.0/8", "fd00::/8"]


async def source_of(trusted, header, asked_by=PROXY):
    """Which address the application is told."""
    told = []

    async def app(scope, receive, send):
        told.append(scope["client"][0])

    headers = [(b"x-forwarded-for", header.encode())] if header is not None else []
    await behind_proxies(app, trusted)({"type": "http", "client": (asked_by, 1), "headers": headers}, None, None)
    return told[0]


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (None, PROXY),
        ("", PROXY),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:40123", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:40123", "2001:db8::1"),
        ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("198.51.100.9, 192.0.2.1, 10.0.0.8, fd00::1", "192.0.2.1"),
    ],
)
async def test_of_what_a_trusted_proxy_tells_the_last_address_that_is_not_trusted_counts(header, source):
    assert await source_of(TRUSTED, header) == source


@pytest.mark.parametrize("asked_by", ["192.0.2.2", "127.0.0.1", "::1"])
async def test_of_what_anybody_else_tells_nothing_counts(asked_by):
    assert await source_of(TRUSTED, "192.0.2.1", asked_by) == asked_by
    assert await source_of([], "192.0.2.1", asked_by) == asked_by


async def test_behind_a_trusted_proxy_wrong_passwords_slow_down_who_sent_them_and_nobody_else():
    service = Service(MemoryStore(), ManualClock())
    await service.add_account()
    service.api = behind_proxies(service.api, TRUSTED)

    def asked(client, password):
        headers = {"x-forwarded-for": client}
        return service.get("/version", auth=basic(password=password), source=PROXY, headers=headers)

    for _ in range(3):
        assert (await asked("192.0.2.1", "wrong")).status == 401
    async with asyncio.TaskGroup() as tasks:
        slowed = [tasks.create_task(asked("192.0.2.1", f"wrong {n}")) for n in range(9)]
        await in_real_time(0.1)
        assert [call.result().status for call in slowed if call.done()] == [503], "one finds no place to wait"
        assert (await asked("192.0.2.2", "wrong")).status == 401
        for _ in range(60):
            await in_real_time(0.02)
            await service.clock.advance(10)
