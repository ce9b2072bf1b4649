"""Orders: takes them and counts them. It forgets them when it stops; a real one has a database."""

from __future__ import annotations

import threading
from collections import Counter

from web import Answer, Problem, Request, as_json, serve


class Orders:
    def __init__(self) -> None:
        self._by_product: Counter[str] = Counter()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        match request.method, request.parts:
            case "GET", ["orders", "count"]:
                return as_json({"count": self._count(request.query.get("product"))})
            case "POST", ["orders"]:
                return as_json(self._place(request.json()), 201)
        raise Problem(404, f"there is no {request.path} here")

    def _count(self, product: str | None) -> int:
        with self._lock:
            return self._by_product.total() if product is None else self._by_product[product]

    def _place(self, order: object) -> dict:
        match order:
            case {"product": str(product), "quantity": int(quantity)} if 0 < quantity <= 100:
                with self._lock:
                    self._by_product[product] += 1
                    number = self._by_product.total()
                return {"number": number, "product": product, "quantity": quantity}
        raise Problem(400, "an order needs a product and a quantity from 1 to 100")


if __name__ == "__main__":
    serve(Orders().answer)
