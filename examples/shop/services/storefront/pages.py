"""The pages that visitors see."""

from __future__ import annotations

from html import escape


def price(cents: int) -> str:
    return f"€ {cents // 100}.{cents % 100:02}"


def page(title: str, *parts: str) -> str:
    body = "\n".join(parts)
    return f"<!doctype html>\n<title>{escape(title)}</title>\n<h1>{escape(title)}</h1>\n{body}\n"


def link(product: dict) -> str:
    name = escape(product["name"])
    return f'<a href="/products/{product["id"]}">{name}</a> {price(product["price_cents"])}'


def home(products: list[dict], orders: int) -> str:
    items = "".join(f"<li>{link(product)}</li>\n" for product in products)
    return page("The shop", f"<ul>\n{items}</ul>", f"<p>{orders} orders so far</p>")


def product(found: dict, orders: int) -> str:
    cost = price(found["price_cents"])
    return page(found["name"], f"<p>{cost}</p>", f"<p>ordered {orders} times</p>")
