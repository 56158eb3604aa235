"""Plans that were made while a queue was empty are not kept when it fills."""

from heliograph.clock import SystemClock
from heliograph.store.postgresql.connection import _QUERIES, Database
from heliograph.store.postgresql.plan_ages import FIRST_S, IDLE_S, LAST_S, PlanAges
from heliograph.store.postgresql.store import open_postgresql
from tests.fakes.builders import a_plan, a_planned_sms


def replanned(ages, times, connection=1):
    return [at for at in times if ages.are_old(connection, at)]


def test_plans_are_made_anew_soon_and_then_less_and_less_often():
    assert replanned(PlanAges(), range(200)) == [1, 3, 7, 15, 31, 63, 127, 191]


def test_after_a_rest_they_are_made_anew_at_once_and_soon_again():
    ages = PlanAges()
    replanned(ages, range(100))
    begun = 100 + IDLE_S + 1
    assert replanned(ages, [begun, begun + FIRST_S / 2, begun + FIRST_S]) == [begun, begun + FIRST_S]


def test_each_connection_has_plans_of_its_own():
    ages = PlanAges()
    assert not ages.are_old(1, 0)
    assert ages.are_old(1, FIRST_S)
    assert not ages.are_old(2, FIRST_S)
    assert LAST_S > FIRST_S


def test_connections_that_have_gone_take_no_room():
    ages = PlanAges()
    for connection in range(1000):
        ages.are_old(connection, 0)
    assert len(ages._ages) <= 100


async def test_a_queue_that_fills_after_it_was_vacuumed_is_read_by_key(url, monkeypatch):
    plans = []

    async def explain(db):
        if not plans:
            await db.script(f"PREPARE held AS {_QUERIES['hold_parts']}")
        explained = await db.raw.fetch("EXPLAIN EXECUTE held (NULL)")
        plans.append("\n".join(row[0] for row in explained))

    database = Database(url, SystemClock(), connections=1)
    await database.open()
    async with open_postgresql(url, serving=False) as store:
        async with store._database.writing() as db:
            await db.script("VACUUM live")
        await database.write(explain)
        await store.add_job(a_plan(*(a_planned_sms() for _ in range(3000))))
        monkeypatch.setattr(PlanAges, "are_old", lambda *_: True)
        await database.write(explain)
    await database.close()
    assert ["Index Cond" in plan for plan in plans] == [False, True], plans
