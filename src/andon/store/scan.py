"""``python -m andon.store.scan``: verifies a part of a ledger, in a process of its own."""

from __future__ import annotations

import sys

import msgspec

from andon.store import dialect_of
from andon.store.events import rows_between
from andon.store.parallel import Order
from andon.store.verification import Part, scanned


def scan(order: Order) -> Part:
    """Recompute what an order asks for."""
    dialect = dialect_of(order.url)
    connection = dialect.connect(write=False)
    dialect.begin(connection, write=False)
    try:
        return scanned(rows_between(connection, order.after, order.upto))
    finally:
        connection.close()


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(scan(order)))
