import json
import unittest

from server import Storefront
from web import Answer, Problem, Request

LAMP = {"id": "3", "name": "Signal lamp", "price_cents": 2450}


class Behind:
    """A service behind the storefront, with answers prepared by path."""

    def __init__(self, **answers: object) -> None:
        self._answers = answers

    def get(self, path: str, caller: Request) -> object:
        return self._answers[path.partition("?")[0].strip("/").replace("/", "_")]

    def post(self, path: str, caller: Request, value: dict) -> object:
        return {"number": 1, **value}


class StorefrontTest(unittest.TestCase):
    def setUp(self) -> None:
        catalogue = Behind(products=[LAMP], products_3=LAMP)
        self.storefront = Storefront(catalogue, Behind(orders_count={"count": 7}))

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        return self.storefront.answer(Request(method, path, {"x-client": "unit-181"}, body))

    def test_home_shows_products_and_the_number_of_orders(self) -> None:
        text = self.ask("GET", "/").body.decode()
        self.assertIn("Signal lamp</a> € 24.50", text)
        self.assertIn("7 orders so far", text)

    def test_product_page_shows_the_price(self) -> None:
        self.assertIn("€ 24.50", self.ask("GET", "/products/3").body.decode())

    def test_order_is_priced(self) -> None:
        answer = self.ask("POST", "/orders", b'{"product": "3", "quantity": 2}')
        self.assertEqual((answer.status, json.loads(answer.body)["cents"]), (201, 4900))

    def test_order_without_a_product_is_refused(self) -> None:
        with self.assertRaises(Problem) as raised:
            self.ask("POST", "/orders", b"[]")
        self.assertEqual(raised.exception.status, 400)
