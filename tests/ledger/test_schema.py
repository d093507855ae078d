"""The ledger's ground: migrations, what starts and what doesn't, what the schema itself refuses, which index a claim reads."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError
from tests.support.factories import accepted
from tests.support.ledger_world import (
    NAMESPACE,
    HandClock,
    World,
    a_job,
    an_account,
    an_entry,
    failures,
    found_as,
    side_by_side,
)
from tests.support.waiting import PATIENCE_SECONDS, eventually

from momo_worker.clock import SystemClock
from momo_worker.ledger import engine, installation, intake, moves, outbox, schema, work
from momo_worker.ledger.engine import Ledger, LedgerError
from momo_worker.ledger.migrate import alembic_config, migrate
from momo_worker.ledger.revision import REVISIONS, check_current, current, newest
from momo_worker.ledger.rows import payment_values
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Payment, Product, Queue, Work
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import Status
from momo_worker.steps import recovery, submission
from momo_worker.steps.intake import take_in

# ---- Migrations -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Ledger]:
    ledger = Ledger(empty_url, SystemClock())
    yield ledger
    ledger.close()


def test_migrations_make_the_schema_that_the_code_has_and_twice_do_nothing(empty: Ledger) -> None:
    assert current(empty) is None
    assert migrate(empty)
    assert current(empty) == newest()
    check_current(empty)
    with empty.read() as tx:
        context = MigrationContext.configure(tx.conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
    assert not migrate(empty)


def test_partial_indexes_are_partial_in_the_database_too(empty: Ledger) -> None:
    """Alembic doesn't compare the condition of an index."""
    migrate(empty)
    wanted = {
        index.name
        for table in schema.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options[empty.dialect]["where"] is not None
    }
    source = (
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
        if empty.dialect == "sqlite"
        else "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '% WHERE %'"
    )
    with empty.read() as tx:
        assert set(tx.conn.execute(text(source)).scalars()) == wanted


def test_two_migrations_at_once_are_one(empty: Ledger, empty_url: str) -> None:
    other = Ledger(empty_url, SystemClock())
    results = side_by_side(lambda: migrate(empty), lambda: migrate(other))
    other.close()
    assert not failures(results)
    assert sorted(results) == [False, True]
    check_current(empty)


def test_a_ledger_without_a_schema_says_migrate_and_a_newer_one_says_newer_release(empty: Ledger) -> None:
    with pytest.raises(LedgerError, match="momo migrate"):
        check_current(empty)
    migrate(empty)
    with empty.write() as tx:
        tx.conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refuse in (check_current, migrate):
        with pytest.raises(LedgerError, match="newer release"):
            refuse(empty)


def test_a_ledger_that_isnt_there_is_an_error_with_advice(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}", "postgresql+psycopg://me@127.0.0.1:1/none"):
        ledger = Ledger(url, SystemClock())
        for ask in (migrate, check_current, Ledger.check_durable):
            with pytest.raises(LedgerError, match="MOMO_DATABASE_URL"):
                ask(ledger)
        ledger.close()


@pytest.mark.parametrize(
    "url", ["mysql://me@127.0.0.1/momo", "nonsense", "sqlite+nodriver:///x.db", "", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_of_the_wrong_kind_is_an_error_with_advice(url: str) -> None:
    with pytest.raises(LedgerError, match="sqlite:///"):
        Ledger(url, SystemClock())


# ---- Durability -----------------------------------------------------------------------------------------------------


def test_sqlite_is_durable_as_it_is_opened_and_refused_otherwise(sqlite_ledger_url: str) -> None:
    ledger = Ledger(sqlite_ledger_url, SystemClock())
    ledger.check_durable()
    with ledger.read() as tx:
        for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert tx.conn.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == wanted
    ledger.close()


def test_sqlite_with_a_lower_synchronous_is_refused(sqlite_ledger_url: str) -> None:
    ledger = Ledger(sqlite_ledger_url, SystemClock())
    with ledger.engine.connect() as conn:
        conn.exec_driver_sql("COMMIT")
        conn.exec_driver_sql("PRAGMA synchronous=NORMAL")
        assert "power cut" in (engine._sqlite_problem(conn) or "")
        conn.exec_driver_sql("BEGIN")
    ledger.close()


def test_postgresql_that_doesnt_wait_for_its_disk_is_refused(postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    for value in ("off", "local", "remote_write"):
        ledger = Ledger(postgres_url, SystemClock())
        with ledger.write() as tx:
            tx.conn.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = {value}"))
        ledger.close()
        again = Ledger(postgres_url, SystemClock())
        with pytest.raises(LedgerError, match=f"synchronous_commit is {value}"):
            again.check_durable()
        again.close()


def test_postgresql_that_cannot_hold_every_letter_is_refused(postgres_url: str) -> None:
    server, _, name = postgres_url.rpartition("/")
    maker = Ledger(postgres_url, SystemClock())
    with maker.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(
            text(f"CREATE DATABASE {name}_latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
        )
    ledger = Ledger(f"{server}/{name}_latin", SystemClock())
    with pytest.raises(LedgerError, match=r"LATIN1.*ENCODING 'UTF8'"):
        ledger.check_durable()
    ledger.close()
    with maker.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"DROP DATABASE {name}_latin"))
    maker.close()


class _Server:
    """Answers SHOW as a server with these settings does."""

    def __init__(self, **settings: str) -> None:
        self.settings = settings

    def exec_driver_sql(self, sql: str) -> Any:
        value = self.settings[sql.removeprefix("SHOW ")]
        return type("Answer", (), {"scalar_one": lambda _self: value})()


def test_postgresql_14_or_without_fsync_is_refused_and_15_on_a_disk_is_taken() -> None:
    durable = {
        "server_version_num": "150004",
        "server_encoding": "UTF8",
        "synchronous_commit": "on",
        "fsync": "on",
    }
    for changed, why in (({"server_version_num": "140012"}, "at least 15"), ({"fsync": "off"}, "fsync is off")):
        assert why in (engine._postgresql_problem(_Server(**{**durable, **changed})) or "")  # type: ignore[arg-type]
    assert engine._postgresql_problem(_Server(**durable)) is None  # type: ignore[arg-type]


def test_postgresqls_time_goes_on_within_a_transaction_and_is_its_own(postgres_ledger_url: str) -> None:
    ledger = Ledger(postgres_ledger_url, HandClock(now_ms=0))
    with ledger.write() as tx:
        first = ledger._now_ms(tx.conn)
        assert abs(first - SystemClock().now_ms()) < 60_000
        eventually(lambda: ledger._now_ms(tx.conn) > first, within_seconds=PATIENCE_SECONDS)
        assert tx.conn.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
    ledger.close()


def test_a_payment_walks_through_on_postgresqls_own_clock(postgres_ledger_url: str, world: World) -> None:
    if world.ledger.dialect != "postgresql":
        return
    ledger = Ledger(postgres_ledger_url, HandClock(now_ms=0))
    world = replace(world, ledger=ledger, parts=replace(world.parts, ledger=ledger))
    (found,) = world.accept("k")
    world.send([found])
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.write("UPDATE payment SET due_at_ms = due_at_ms - 60000")
    world.turn()
    payment = world.payment(found)
    assert payment.state is State.SUCCESSFUL
    assert abs(payment.state_since_ms - SystemClock().now_ms()) < 60_000
    ledger.close()


# ---- Who the ledger is ----------------------------------------------------------------------------------------------


def test_two_first_starts_agree_on_one_ledger(ledger_url: str) -> None:
    ledgers = [Ledger(ledger_url, SystemClock()) for _ in range(3)]

    def start(ledger: Ledger) -> installation.Installation:
        with ledger.write() as tx:
            return installation.prepare(tx, None, sandbox_only=True)

    found = side_by_side(*[lambda ledger=ledger: start(ledger) for ledger in ledgers])
    assert not failures(found)
    assert len({(one.ledger_id, one.namespace) for one in found}) == 1
    for ledger in ledgers:
        ledger.close()


def test_a_namespace_that_isnt_the_ledgers_or_is_missing_in_a_market_starts_nothing(world: World) -> None:
    with world.ledger.write() as tx:
        strange = uuid.uuid4()
        with pytest.raises(LedgerError, match="MOMO_NAMESPACE"):
            installation.prepare(tx, strange, sandbox_only=False)
        assert installation.prepare(tx, NAMESPACE, sandbox_only=False).namespace == NAMESPACE
        tx.conn.execute(text("DELETE FROM installation"))
        with pytest.raises(LedgerError, match="MOMO_NAMESPACE"):
            installation.prepare(tx, None, sandbox_only=False)


@pytest.mark.parametrize("what", ["environment", "base URL", "currency", "API user"])
def test_an_account_is_pinned_with_its_first_payment_and_refused_under_anything_else(world: World, what: str) -> None:
    account = world.parts.accounts["default"]
    with world.ledger.write() as tx:
        installation.pin_accounts(tx, [account], write=False)
        assert tx.conn.execute(text("SELECT count(*) FROM pin")).scalar_one() == 0
    world.accept("k")
    market = account.market
    others = {
        "environment": replace(account, market=replace(market, target_environment="sandbox")),
        "base URL": replace(account, market=replace(market, base_url="http://127.0.0.1:2")),
        "currency": replace(account, market=replace(market, currency=Currency("EUR", 2))),
        "API user": replace(account, credentials=an_account("other").credentials),
    }
    with world.ledger.write() as tx:
        installation.pin_accounts(tx, [account], write=False)
        with pytest.raises(LedgerError, match=what):
            installation.pin_accounts(tx, [others[what]], write=False)


def test_two_pumps_pin_an_account_at_once(world: World) -> None:
    other = world.beside()
    for turn in range(4):
        world.write("DELETE FROM pin")
        taken = side_by_side(
            lambda turn=turn: world.take(a_job(f"a-{turn}")), lambda turn=turn: other.take(a_job(f"b-{turn}"))
        )
        assert not failures(taken)
        assert world.count("pin") == 2


# ---- What the schema refuses ----------------------------------------------------------------------------------------


def a_row(world: World, **changes: Any) -> dict[str, Any]:
    found = world.payment(world.accept(f"row-{uuid.uuid4().hex[:8]}")[0])
    fresh = {"id": str(uuid.uuid4()), "idempotency_key": uuid.uuid4().hex}
    return {**payment_values(found), **fresh, **changes}


def refuses(world: World, table: Any, row: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), world.ledger.write() as tx:
        tx.conn.execute(insert(table).values(row))


def test_the_schema_refuses_doubles_and_impossible_money(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    refuses(world, schema.payment, a_row(world, idempotency_key="k"))
    for change in (
        {"amount_minor": 0},
        {"amount_minor": -1},
        {"refunded_minor": -1},
        {"refunded_minor": 150_001},
        {"refund_of": "nobody"},
        {"replaces": "nobody"},
        {"id": found},
    ):
        refuses(world, schema.payment, a_row(world, **change))
    with world.ledger.read() as tx:
        attempt = dict(tx.conn.execute(text("SELECT * FROM attempt")).mappings().one())
        send = dict(tx.conn.execute(text("SELECT * FROM send")).mappings().one())
        event = dict(tx.conn.execute(text("SELECT * FROM outbox LIMIT 1")).mappings().one())
    refuses(world, schema.attempt, {**attempt, "reference_id": str(uuid.uuid4())})
    refuses(world, schema.attempt, {**attempt, "number": 2})
    refuses(world, schema.send, send)
    refuses(world, schema.outbox, {**event, "id": 999})
    with world.ledger.read() as tx:
        us = dict(tx.conn.execute(text("SELECT * FROM installation")).mappings().one())
    refuses(world, schema.installation, {**us, "id": 2})
    row = a_row(world, replaces=found)
    with world.ledger.write() as tx:
        tx.conn.execute(insert(schema.payment).values(row))
    refuses(world, schema.payment, a_row(world, replaces=found))


def test_the_schema_refuses_a_second_open_recovery_and_takes_those_that_are_over(world: World) -> None:
    for _ in range(3):
        # Each ends the one before it.
        recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup")
    with world.ledger.read() as tx:
        row = dict(tx.conn.execute(text("SELECT * FROM recovery WHERE is_open = 1")).mappings().one())
    refuses(world, schema.recovery, {**row, "id": 999})


def test_an_amount_of_fifteen_digits_comes_back_to_the_last_one(world: World) -> None:
    (found,) = world.accept("k")
    world.write("UPDATE payment SET amount_minor = 900719925474099")
    assert world.payment(found).amount_minor == 900_719_925_474_099
    (total,) = world.rows("SELECT sum(amount_minor) FROM payment")
    assert int(total) == 900_719_925_474_099


def test_a_move_under_another_state_or_fence_is_lost_and_nothing_of_it_is_kept(world: World) -> None:
    first, second = (world.payment(found) for found in world.accept("a", "b"))
    for stale in ({"fence": 7}, {"state": State.PENDING}):
        pairs = [(first, replace(first, looks=5)), (replace(second, **stale), replace(second, looks=5))]
        with pytest.raises(moves.MoveLostError), world.ledger.write() as tx:
            moves.write_payments(tx, pairs)
    assert (world.payment(first.id).looks, world.payment(second.id).looks) == (0, 0)


def test_a_move_never_writes_what_was_refunded(world: World) -> None:
    found = world.payment(world.successful("fee", amount="100"))
    with world.ledger.write() as tx:
        assert moves.change_refunded(tx, found.id, 60)
        moves.write_payments(tx, [(found, replace(found, looks=99))])
        assert not moves.change_refunded(tx, found.id, 41)
        assert not moves.change_refunded(tx, found.id, -61)
    assert world.payment(found.id).refunded_minor == 60


def test_an_ending_is_given_once(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    (send,) = world.sends(found)
    with world.ledger.write() as tx:
        moves.end_sends(tx, [replace(send, ending=None, http_status=500)])
    assert world.sends(found) == [send]


# ---- Claims of the pump ---------------------------------------------------------------------------------------------


def release(world: World, limit: int, account: str = "default", kind: Work = Work.SEND) -> list[str]:
    with world.ledger.write() as tx:
        rows = work.release(
            tx, account, Product.DISBURSEMENT, kind, Queue.BULK, limit=limit, release_ms=world.parts.rules.release_ms
        )
    return [row.payment_id for row in rows]


def fill(world: World, count: int, *, account: str = "default", due_in_ms: int = 0, prefix: str = "f") -> None:
    """So many bulk payments, written without the intake's care."""
    like = world.payment(world.accept(f"like-{prefix}-{account}", account=account, lane="bulk")[0])
    rows = [
        {
            **payment_values(like),
            "id": f"{prefix}-{account}-{number:06}",
            "idempotency_key": f"{prefix}-{number}",
            "due_at_ms": world.clock.at_ms + due_in_ms + number,
        }
        for number in range(count)
    ]
    with world.ledger.write() as tx:
        tx.conn.execute(insert(schema.payment), rows)


def test_pumps_that_release_at_once_never_release_one_twice(world: World) -> None:
    fill(world, 200)
    world.clock.on(10)
    worlds = [world] + [world.beside() for _ in range(3)]
    released = side_by_side(*[lambda one=one: release(one, 60) for one in worlds])
    assert not failures(released)
    found = [payment_id for one in released for payment_id in one]
    assert len(found) == len(set(found))
    assert len(found) >= 60


def test_a_paused_accounts_due_rows_stand_in_nobodys_way(world: World) -> None:
    accounts = {name: an_account(name) for name in ("default", "paused")}
    world = replace(world, parts=replace(world.parts, accounts=accounts))
    fill(world, 300, account="paused")
    world.clock.on(5)
    fill(world, 3, account="default")
    world.clock.on(5)
    assert len(release(world, 2)) == 2


def test_earliest_due_goes_first(world: World) -> None:
    fill(world, 50)
    world.write("DELETE FROM payment WHERE id = :like", like=world.id_of("like-f-default"))
    world.clock.on(10)
    assert sorted(release(world, 5)) == [f"f-default-{number:06}" for number in range(5)]


def test_postgresqls_claims_take_no_more_than_asked_under_any_plan(postgres_ledger_url: str, world: World) -> None:
    if world.ledger.dialect != "postgresql":
        return
    fill(world, 1_000)
    world.clock.on(10)
    for settings in (
        ("enable_hashjoin", "enable_mergejoin", "enable_material", "enable_hashagg", "enable_sort"),
        ("enable_nestloop", "enable_indexscan", "enable_bitmapscan"),
        (),
    ):
        with world.ledger.write() as tx:
            for name in settings:
                tx.conn.execute(text(f"SET LOCAL {name} = off"))
            rows = work.release(tx, "default", Product.DISBURSEMENT, Work.SEND, Queue.BULK, limit=10, release_ms=30_000)
        assert len(rows) == 10
    assert world.rows("SELECT count(*) FROM payment WHERE released_until_ms IS NOT NULL") == [30]


def plan_of(world: World, sql: str, values: dict[str, Any]) -> str:
    explain = "EXPLAIN QUERY PLAN " if world.ledger.dialect == "sqlite" else "EXPLAIN "
    with world.ledger.write() as tx:
        rows = tx.conn.execute(text(explain + sql), values).all()
        tx.conn.rollback()
    return "\n".join(str(row[-1]) for row in rows)


def test_a_claim_reads_the_due_index_however_many_payments_wait(world: World) -> None:
    fill(world, 1_000)
    fill(world, 49_000, due_in_ms=86_400_000, prefix="later")
    world.write("ANALYZE")
    world.clock.on(2)
    where = {"account": "default", "product": "disbursement", "work": "send", "queue": "b_bulk"}
    at = {"now": world.clock.at_ms, "until": world.clock.at_ms + 30_000, "limit": 100}
    plans = {
        "release": ("ix_payment_due", plan_of(world, work._release[world.ledger.dialect].text, {**where, **at})),
        "due": ("ix_payment_due", plan_of(world, work._DUE_COUNTS.text, {**where, **at})),
        # Few are unknown or sending: any index that leads there will do.
        "permitted": (
            "ix_payment_",
            plan_of(world, work._PERMITTED_BEFORE.text, {**where, **at, "since": world.clock.at_ms}),
        ),
        "cut": (
            "ix_payment_released",
            plan_of(world, work._CUT_MARKS.text, {**where, "released": at["until"], "leased": at["until"]}),
        ),
        "out": ("ix_payment_released", plan_of(world, work._OUTSTANDING.text, {**where, **at, "but_queue": ""})),
        "leases": ("ix_payment_", plan_of(world, work._LEASES_OVER.text, at)),
        "expired": ("ix_payment_expiring", plan_of(world, work._EXPIRED.text, at)),
    }
    for name, (index, plan) in plans.items():
        assert index in plan, (name, plan)
        assert "Seq Scan on payment" not in plan, (name, plan)
        assert "SCAN payment" not in plan, (name, plan)
    assert len(release(world, 100)) == 100


def test_what_waits_to_be_published_is_found_among_however_many_published(world: World) -> None:
    world.accept("k")
    (like,) = world.rows("SELECT body FROM outbox")
    rows = [
        {
            "event_id": f"e-{number}",
            "partition": number % 8,
            "payment_id": f"p-{number}",
            "type": "t",
            "body": like[:50],
            "created_at_ms": 1,
            "published_at_ms": number,
            "replayed": False,
        }
        for number in range(20_000)
    ]
    with world.ledger.write() as tx:
        tx.conn.execute(insert(schema.outbox), rows)
    world.write("ANALYZE")
    sql = outbox._UNPUBLISHED.text.replace("IN :partitions", "IN (0, 1, 2, 3, 4, 5, 6, 7)")
    assert "ix_outbox_unpublished" in plan_of(world, sql, {"limit": 500})
    again = plan_of(world, outbox._AGAIN.text, {"since": 19_000, "limit": 500})
    assert "ix_outbox_published" in again, again


def test_a_reading_process_waits_for_no_writer(world: World) -> None:
    (found,) = world.accept("k")
    other = world.beside()
    with world.ledger.write() as tx:
        tx.conn.execute(text("UPDATE payment SET looks = 7"))
        assert other.payment(found).looks == 0
    assert other.payment(found).looks == 7


def test_a_transaction_that_fails_rolls_everything_back(world: World) -> None:
    def break_off() -> None:
        with world.ledger.write() as tx:
            intake.add_rejected(tx, "s", b"x", "[]")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert world.count("rejected_job") == 0


def test_the_ledger_unreachable_takes_nothing_in_and_claims_nothing(world: World) -> None:
    (found,) = world.accept("k")
    gone = Ledger("postgresql+psycopg://me@127.0.0.1:1/none", world.clock)
    parts = replace(world.parts, ledger=gone)
    for deed in (lambda: take_in(parts, [an_entry(a_job("l"))]), lambda: submission.claim(parts, [found])):
        with pytest.raises(engine.LEDGER_FAILURES):
            deed()
    gone.close()
    world.mtn.on_send = lambda _request, _secondary: accepted()
    assert world.mtn.references() == []


def test_a_payment_comes_back_from_the_ledger_as_it_went_in(world: World) -> None:
    before = world.payment(world.accept("k", metadata={"a": [1, "ü"]})[0])
    assert isinstance(before, Payment)
    row = a_row(world, id="other", idempotency_key="other")
    with world.ledger.write() as tx:
        tx.conn.execute(insert(schema.payment).values(row))
    assert payment_values(world.payment("other")) == row


def test_the_revisions_we_name_are_the_migrations_there_are() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())

    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS
