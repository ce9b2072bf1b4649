"""One writer thread with group commit, and readers over snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeGuard, TypeVar

from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, Unavailable
from andon.ports.store import Tx, Verification
from andon.store.dialect import Connection, Dialect
from andon.store.memo import Memo, Seen, Specs
from andon.store.parallel import extent_of, verify_in_processes, verify_ledger
from andon.store.tail import Tail
from andon.store.transaction import Transaction
from andon.store.turn import Turn

T = TypeVar("T")

LARGEST_GROUP = 256
READERS = 2

Work = tuple[Callable[[Tx], Any], "asyncio.Future[Any]"]
Result = tuple[Any, BaseException | None]


class Written(NamedTuple):
    """A group whose transaction is still open."""

    connection: Connection
    group: list[Work]
    results: list[Result]
    news: bool


class Database:
    """The ``Store`` of ``andon.ports.store``.

    Args:
        dialect: The engine.
        source: CloudEvents source of this installation.
        clock: What ``Tx.now`` tells; None: the database's own time.
    """

    def __init__(self, dialect: Dialect, source: str, clock: Clock | None = None) -> None:
        dialect.prepare()
        self._dialect = dialect
        self._source = source
        self._clock = clock
        self._specs = Specs()
        self._seen = Seen()
        self._memo = Memo(self._specs)
        """The writer's."""
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._listeners: list[Callable[[], None]] = []
        self.commits = 0
        self._local = threading.local()
        self._open: list[Connection] = []
        self._readers = ThreadPoolExecutor(READERS, "andon-reader")
        self._claimer = ThreadPoolExecutor(1, "andon-claimer")
        self._door = threading.Lock()
        """Nobody comes in once ``close`` has begun, so nobody waits for ever."""
        self._closed = False
        self._frozen: AndonError | None = None
        self._deafen = dialect.listen(self._tell)
        self._begin_to_write()

    def _begin_to_write(self) -> None:
        self._writer = threading.Thread(target=self._write, name="andon-writer", daemon=True)
        self._writer.start()

    @property
    def dialect(self) -> Dialect:
        """The engine."""
        return self._dialect

    @property
    def source(self) -> str:
        """CloudEvents source of this installation."""
        return self._source

    # --- asking ----------------------------------------------------------------------------------

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._door:
            self._expect_open()
            if self._frozen is not None:
                raise self._frozen
            self._queue.put((fn, future))
        return await future

    async def beside(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction beside the writers."""
        if not self._dialect.many_writers:
            return await self.transact(fn)
        with self._door:
            self._expect_open()
            future = self._claimer.submit(self._beside, fn)
        return await asyncio.wrap_future(future)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run a function over a consistent snapshot."""
        with self._door:
            self._expect_open()
            future = self._readers.submit(self._read, fn)
        return await asyncio.wrap_future(future)

    async def verify(self) -> Verification:
        """Recompute every chain."""
        extent = await self.read(extent_of)
        if extent.is_large:
            found = await asyncio.to_thread(verify_in_processes, self._dialect.url, extent)
            if not found.findings:
                return found
        # What was erased or archived meanwhile looks wrong to several processes; not in one snapshot.
        return await self.read(verify_ledger)

    async def wipe(self) -> bool:
        """Overwrite what was erased."""
        return await asyncio.to_thread(self._dialect.wipe)

    def _expect_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    async def freeze(self, why: AndonError) -> None:
        """Refuse to write from now on; what was asked before is on disk when this returns."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._door:
            self._expect_open()
            self._frozen = why
            self._queue.put((lambda tx: None, future))
        await future

    def thaw(self) -> None:
        """Write again."""
        self._frozen = None

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Be called after each commit that woke tasks or appended events."""
        self._listeners.append(callback)

        def unsubscribe() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return unsubscribe

    def close(self) -> None:
        """Finish what waits, then let go."""
        with self._door:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._writer.join()
        self._let_go()

    def _let_go(self) -> None:
        self._deafen()
        self._readers.shutdown(wait=True)
        self._claimer.shutdown(wait=True)
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
        written = self._write_down(connection, group)
        return self._settle(written, self._end) if written is not None else None

    def _write_down(self, connection: Connection | None, group: list[Work]) -> Written | None:
        """Run a group in a transaction that is still open; None: it failed, and everybody was told."""
        # What was cancelled by now is not begun; what is begun is finished, whoever listens.
        group = [work for work in group if not work[1].cancelled()]
        try:
            connection = self._begin(connection, write=True)
            results, news = self._run_all(connection, group)
            if news:
                self._dialect.announce(connection)
        except BaseException as error:
            self._fail(connection, group, error)
            return None
        return Written(connection, group, results, news)

    def _end(self, written: Written) -> None:
        written.connection.run("COMMIT")

    def _settle(self, written: Written, commit: Callable[[Written], None]) -> Connection | None:
        """Commit what was written down, and tell everybody how that went."""
        try:
            commit(written)
            self.commits += 1
        except BaseException as error:
            self._fail(written.connection, written.group, error)
            return None
        _answer(written.group, written.results)
        if written.news:
            self._tell()
        return written.connection

    def _begin(
        self, connection: Connection | None, *, write: bool, beside: bool = False
    ) -> Connection:
        """Begin; where a connection died while it was idle nothing is lost, and a new one will do."""

        def begin(connection: Connection) -> None:
            if beside:
                self._dialect.begin_beside(connection)
            else:
                self._dialect.begin(connection, write=write)

        if connection is not None:
            try:
                begin(connection)
                return connection
            except Exception:
                _close_quietly(connection)
        connection = self._dialect.connect(write=write)
        begin(connection)
        return connection

    def _run_all(self, connection: Connection, group: list[Work]) -> tuple[list[Result], bool]:
        tail = Tail()
        news = False
        results: list[Result] = []
        for fn, _ in group:
            tail.mark()
            turn = Turn(connection)
            transaction = Transaction(turn, self._source, tail, self._clock, self._memo)
            try:
                value = fn(transaction)
                turn.keep()
            except BaseException as error:
                if not connection.in_transaction():
                    raise
                turn.undo()
                tail.go_back()
                self._memo.forget()
                results.append((None, self._ours(error)))
            else:
                results.append((value, None))
                news = news or transaction.news
        tail.write(connection)
        return results, news

    def _fail(self, connection: Connection | None, group: list[Work], error: BaseException) -> None:
        """The whole group failed: nothing of it is written, everybody is told."""
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.run("ROLLBACK")
            _close_quietly(connection)
        self._memo.forget()
        _answer(group, [(None, self._ours(error))] * len(group))

    def _tell(self) -> None:
        for listener in list(self._listeners):
            # A listener's trouble (its loop may be closed by now) is not the writer's.
            with contextlib.suppress(Exception):
                listener()

    def _ours(self, error: BaseException) -> BaseException:
        """Translate what came from the engine; leave everything else."""
        if isinstance(error, StopIteration):
            return RuntimeError(f"a transaction ended by {error!r}")  # a future refuses these
        return self._dialect.translate(error) if is_of_engine(error) else error

    # --- on other threads ------------------------------------------------------------------------

    def _read(self, fn: Callable[[Tx], T]) -> T:
        return self._on_own_connection(fn, write=False)

    def _beside(self, fn: Callable[[Tx], T]) -> T:
        return self._on_own_connection(fn, write=True)

    def _on_own_connection(self, fn: Callable[[Tx], T], *, write: bool) -> T:
        connection = None
        try:
            connection = self._begin(self._mine(), write=write, beside=write)
            self._keep(connection)
            memo = Memo(self._specs, None if write else self._seen)
            tail = Tail(writable=False)
            value = fn(Transaction(connection, self._source, tail, self._clock, memo))
            connection.run("COMMIT")
            return value
        except Exception as error:
            if connection is not None:
                with contextlib.suppress(Exception):
                    connection.run("ROLLBACK")
            if not is_of_engine(error):
                raise
            self._keep(None)
            raise self._dialect.translate(error) from error

    def _mine(self) -> Connection | None:
        return getattr(self._local, "connection", None)

    def _keep(self, connection: Connection | None) -> None:
        """Use a connection for this thread's next work, and no longer the one before."""
        before = self._mine()
        if before is connection:
            return
        if before is not None:
            self._open.remove(before)
            _close_quietly(before)
        if connection is not None:
            self._open.append(connection)
        self._local.connection = connection


def _answer(group: list[Work], results: list[Result]) -> None:
    """Resolve a group's futures on their loops, in one callback each, so that they go on together.

    Producers that wait for the same commit then ask for the next one together, too.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Result]]] = {}
    for (_, future), result in zip(group, results, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, result))
    for loop, answers in by_loop.items():
        # Nobody waits on a loop that was closed meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[tuple[asyncio.Future[Any], Result]]) -> None:
    for future, (value, failure) in answers:
        if future.done():
            continue
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(value)


def _close_quietly(connection: Connection) -> None:
    with contextlib.suppress(Exception):
        connection.close()


def is_of_engine(error: BaseException) -> TypeGuard[Exception]:
    """Say whether an error came from a driver."""
    return type(error).__module__.split(".")[0] in {"sqlite3", "psycopg"}
