"""One writer thread with group commit, and readers over snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from andon.kernel.errors import AndonError, Unavailable
from andon.ports.store import Tx
from andon.store.dialect import Connection, Dialect
from andon.store.transaction import Transaction

T = TypeVar("T")

LARGEST_GROUP = 256
READERS = 2

Work = tuple[Callable[[Tx], Any], "Future[Any]"]


class Database:
    """The ``Store`` of ``andon.ports.store``.

    Args:
        dialect: The engine.
        source: CloudEvents source of this installation.
    """

    def __init__(self, dialect: Dialect, source: str) -> None:
        dialect.prepare()
        self._dialect = dialect
        self._source = source
        self._queue: queue.Queue[Work | None] = queue.Queue()
        self._listeners: list[Callable[[], None]] = []
        self._local = threading.local()
        self._open: list[Connection] = []
        self._readers = ThreadPoolExecutor(READERS, "andon-reader")
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="andon-writer", daemon=True)
        self._writer.start()

    # --- asking ----------------------------------------------------------------------------------

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction."""
        future: Future[T] = Future()
        if self._closed:
            raise Unavailable("the store is closed")
        self._queue.put((fn, future))
        return await asyncio.wrap_future(future)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run a function over a consistent snapshot."""
        if self._closed:
            raise Unavailable("the store is closed")
        return await asyncio.wrap_future(self._readers.submit(self._read, fn))

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Be called after each commit that woke tasks or appended events."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def close(self) -> None:
        """Finish what waits, then let go."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._writer.join()
        self._readers.shutdown(wait=True)
        for connection in self._open:
            connection.close()

    # --- writing ---------------------------------------------------------------------------------

    def _write(self) -> None:
        connection: Connection | None = None
        while True:
            group, over = self._next_group()
            if group:
                connection = self._commit(connection, group)
            if over:
                break
        if connection is not None:
            connection.close()

    def _next_group(self) -> tuple[list[Work], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        group = [first]
        while len(group) < LARGEST_GROUP:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                break
            if work is None:
                return group, True
            group.append(work)
        return group, False

    def _commit(self, connection: Connection | None, group: list[Work]) -> Connection | None:
        """Run a group in one transaction; resolve its futures once it is on disk."""
        results: list[tuple[Future[Any], Any, BaseException | None]] = []
        news = False
        try:
            connection = connection or self._dialect.connect(write=True)
            connection.run(self._dialect.begin_write)
            for fn, future in group:
                transaction = Transaction(connection, self._source)
                value, error = self._in_savepoint(connection, fn, transaction)
                news = news or (error is None and transaction.news)
                results.append((future, value, error))
            connection.run("COMMIT")
        except Exception as error:
            self._fail(connection, group, error)
            return None
        for future, value, failure in results:
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(value)
        if news:
            for listener in list(self._listeners):
                # A loop that has been closed meanwhile wants to hear nothing.
                with contextlib.suppress(RuntimeError):
                    listener()
        return connection

    def _in_savepoint(
        self, connection: Connection, fn: Callable[[Tx], Any], transaction: Transaction
    ) -> tuple[Any, BaseException | None]:
        connection.run("SAVEPOINT one")
        try:
            value = fn(transaction)
        except Exception as error:
            if not connection.in_transaction():
                raise
            connection.run("ROLLBACK TO SAVEPOINT one")
            connection.run("RELEASE SAVEPOINT one")
            return None, self._ours(error)
        connection.run("RELEASE SAVEPOINT one")
        return value, None

    def _fail(self, connection: Connection | None, group: list[Work], error: Exception) -> None:
        """The whole group failed: nothing of it is written, everybody is told."""
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.run("ROLLBACK")
            with contextlib.suppress(Exception):
                connection.close()
        said = self._ours(error)
        for _, future in group:
            if not future.done():
                future.set_exception(said)

    def _ours(self, error: Exception) -> Exception:
        """Translate what came from the engine; leave everything else."""
        module = type(error).__module__
        if isinstance(error, AndonError) or not module.startswith(("sqlite3", "psycopg")):
            return error
        return self._dialect.translate(error)

    # --- reading ---------------------------------------------------------------------------------

    def _read(self, fn: Callable[[Tx], T]) -> T:
        connection: Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = self._local.connection = self._dialect.connect(write=False)
                self._open.append(connection)
            connection.run(self._dialect.begin_read)
            try:
                return fn(Transaction(connection, self._source))
            finally:
                connection.run("ROLLBACK")
        except Exception as error:
            if not isinstance(error, AndonError):
                self._local.connection = None
            raise self._ours(error) from error
