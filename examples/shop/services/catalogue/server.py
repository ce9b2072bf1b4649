"""The catalogue: what the shop sells."""

from __future__ import annotations

import json
from pathlib import Path

from web import Answer, Problem, Request, as_json, serve


class Catalogue:
    def __init__(self, products: list[dict]) -> None:
        self._products = {product["id"]: product for product in products}

    def answer(self, request: Request) -> Answer:
        match request.method, request.parts:
            case "GET", ["products"]:
                return as_json(list(self._products.values()))
            case "GET", ["products", product_id]:
                return as_json(self._find(product_id))
        raise Problem(404, f"there is no {request.path} here")

    def _find(self, product_id: str) -> dict:
        if product_id not in self._products:
            raise Problem(404, f"there is no product {product_id}")
        return self._products[product_id]


if __name__ == "__main__":
    stock = Path(__file__).with_name("products.json").read_text(encoding="utf-8")
    serve(Catalogue(json.loads(stock)).answer)
