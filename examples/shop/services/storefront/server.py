"""The storefront: what visitors see, made from the catalogue and the orders behind it."""

from __future__ import annotations

import os

import pages
from web import Answer, Problem, Request, Upstream, as_json, as_page, serve


class Storefront:
    def __init__(self, catalogue: Upstream, orders: Upstream) -> None:
        self._catalogue = catalogue
        self._orders = orders

    def answer(self, request: Request) -> Answer:
        match request.method, request.parts:
            case "GET", []:
                return self._home(request)
            case "GET", ["products"]:
                return as_json(self._catalogue.get("/products", request))
            case "GET", ["products", product_id]:
                return self._product(request, product_id)
            case "GET", ["orders", "count"]:
                return as_json(self._orders.get("/orders/count", request))
            case "POST", ["orders"]:
                return self._order(request)
        raise Problem(404, f"there is no {request.path} here")

    def _home(self, request: Request) -> Answer:
        products = self._catalogue.get("/products", request)
        orders = self._orders.get("/orders/count", request)
        return as_page(pages.home(products, orders["count"]))

    def _product(self, request: Request, product_id: str) -> Answer:
        found = self._catalogue.get(f"/products/{product_id}", request)
        orders = self._orders.get(f"/orders/count?product={product_id}", request)
        return as_page(pages.product(found, orders["count"]))

    def _order(self, request: Request) -> Answer:
        order = request.json()
        if not isinstance(order, dict) or not str(order.get("product", "")).isalnum():
            raise Problem(400, "an order needs a product")
        found = self._catalogue.get(f"/products/{order['product']}", request)
        placed = self._orders.post("/orders", request, order)
        return as_json({**placed, "cents": found["price_cents"] * placed["quantity"]}, 201)


if __name__ == "__main__":
    serve(
        Storefront(
            Upstream("catalogue", os.environ["ANDON_URL_CATALOGUE"]),
            Upstream("orders", os.environ["ANDON_URL_ORDERS"]),
        ).answer
    )
