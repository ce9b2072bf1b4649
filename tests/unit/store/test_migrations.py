"""From each released schema to this program's, with a living story that the program of then had written."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from andon.api.v1.actions import SetWeights
from andon.app.parts import controllers
from andon.ports.store import Limit, Store, Tx
from andon.runtime.turns import Turns
from andon.store import open_store, verify_ledger
from andon.store.migrations import STEPS
from andon.store.postgres import for_postgres
from andon.store.schema import VERSION
from andon.testing.clock import SeededRandomness
from andon.testing.postgres import PostgresServer

SOURCE = "/andon/test"
KILLED = 1700000007.0
"""When the story breaks off; its leases are over 1030 s later."""
LATER = KILLED + 2000
DIES = """\
import os, signal, sys
from andon.store import migrations, open_store
migrations._name_queues = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
open_store(sys.argv[1], source="/andon/test")
"""


def story(version: int) -> str:
    return Path(__file__).with_name(f"schema_{version}.sql").read_text()


def test_every_step_has_a_story() -> None:
    assert sorted(STEPS) == list(range(1, VERSION))
    assert all(story(version) for version in STEPS)


class Released:
    """What must hold of a database that an earlier program made, on each engine."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    def schema(self, url: str) -> dict[str, Any]:
        raise NotImplementedError

    def version(self, url: str) -> int:
        raise NotImplementedError

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        opened = open_store(url, source=SOURCE)
        yield opened
        opened.close()

    def test_columns_and_indexes_are_those_of_a_fresh_database(
        self, url: str, store: Store, fresh: str
    ) -> None:
        open_store(fresh, source=SOURCE).close()
        assert self.schema(url) == self.schema(fresh)
        assert self.version(url) == VERSION

    async def test_ledger_verifies_and_goes_on(self, store: Store) -> None:
        before = await store.read(verify_ledger)
        assert (before.events, before.findings) == (28, ())
        run = await store.read(lambda tx: tx.require("Run", "rollout-prod-web-shop-a1047eab1035"))
        assert run.status.phase == "Running"

    async def test_intent_without_outcome_is_taken_and_ended(self, store: Store) -> None:
        (left,) = await store.read(lambda tx: tx.unfinished())
        assert isinstance(left.row.action, SetWeights)
        assert (left.queue, left.owner) == ("SetWeights", "")
        (taken,) = await store.transact(
            lambda tx: tx.take_actions("w", {"SetWeights": Limit()}, LATER, 10)
        )
        assert taken.row.key == left.row.key
        assert taken.token > left.token

    async def test_turns_that_were_claimed_are_taken_once_their_lease_is_over(
        self, store: Store
    ) -> None:
        turns = Turns(controllers(), SeededRandomness(1))

        def take(tx: Tx) -> list[str]:
            tasks = tx.claim("w", LATER, 30, 10)
            for task in tasks:
                turns.take(tx, task, LATER, "w")
            return sorted(task.name for task in tasks)

        assert await store.transact(take) == ["dev", "prod"]
        assert (await store.read(verify_ledger)).findings == ()

    async def test_tokens_are_drawn_above_all_that_are_there(self, store: Store) -> None:
        newest = max(one.token for one in await store.read(lambda tx: tx.unfinished()))
        token = await store.transact(lambda tx: tx.acquire("line", "w", LATER, 10))
        assert token > newest

    def test_killed_migration_leaves_the_old_database(self, url: str) -> None:
        before = self.schema(url)
        ended = subprocess.run([sys.executable, "-c", DIES, url], capture_output=True, check=False)
        assert ended.returncode == -9, ended.stderr.decode()
        assert (self.version(url), self.schema(url)) == (1, before)
        open_store(url, source=SOURCE).close()
        assert self.version(url) == VERSION


class TestSqlite(Released):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        path = tmp_path / "control.db"
        connection = sqlite3.connect(path)
        connection.executescript(f"PRAGMA journal_mode=WAL; BEGIN; {story(1)} COMMIT;")
        connection.execute("PRAGMA user_version=1")
        connection.close()
        return str(path)

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> str:
        return str(tmp_path / "fresh.db")

    def version(self, url: str) -> int:
        ((found,),) = _asked(url, "PRAGMA user_version")
        return int(found)

    def schema(self, url: str) -> dict[str, Any]:
        tables = [
            name for (name,) in _asked(url, "SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        columns = {
            table: sorted(
                (name, type, notnull, key)
                for _, name, type, notnull, _, key in _asked(url, f"PRAGMA table_info({table})")
            )
            for table in tables
        }
        indexes = _asked(
            url, "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
        )
        return {"columns": columns, "indexes": indexes}

    async def test_file_as_it_was_is_kept_beside_it(self, url: str, store: Store) -> None:
        kept = Path(f"{url}.schema-1")
        assert kept.stat().st_mode & 0o777 == 0o600
        assert self.version(str(kept)) == 1
        assert _asked(str(kept), "SELECT COUNT(*) FROM event") == [(28,)]


def _asked(path: str, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.mark.postgres
class TestPostgres(Released):
    @pytest.fixture
    def url(self, server: PostgresServer) -> str:
        url = server.new_schema()
        rows = [line for line in story(1).splitlines() if line.startswith("INSERT")]
        tables = story(1).partition("INSERT")[0]
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE schema_version (version BIGINT NOT NULL)")
            connection.execute("INSERT INTO schema_version VALUES (1)")
            connection.execute(for_postgres(tables))
            for row in rows:
                connection.execute(row.replace(" X'", r" '\x"))
        return url

    @pytest.fixture
    def fresh(self, server: PostgresServer) -> str:
        return server.new_schema()

    def version(self, url: str) -> int:
        with psycopg.connect(url) as connection:
            ((found,),) = connection.execute("SELECT version FROM schema_version").fetchall()
            return int(found)

    def schema(self, url: str) -> dict[str, Any]:
        with psycopg.connect(url) as connection:

            def ask(sql: str) -> list[Any]:
                return connection.execute(sql).fetchall()

            return {
                "columns": ask(
                    "SELECT table_name, column_name, data_type, is_nullable, collation_name"
                    " FROM information_schema.columns WHERE table_schema = current_schema()"
                    " ORDER BY 1, 2"
                ),
                "indexes": ask(
                    "SELECT indexname, replace(indexdef, current_schema() || '.', '')"
                    " FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1"
                ),
                "sequences": ask(
                    "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()"
                ),
            }
