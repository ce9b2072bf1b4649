import json
import unittest

from server import Orders
from web import Problem, Request


class OrdersTest(unittest.TestCase):
    def setUp(self) -> None:
        self.orders = Orders()

    def ask(self, method: str, path: str, value: object = None) -> dict:
        request = Request(method, path, {"x-client": "unit-181"}, json.dumps(value).encode())
        return json.loads(self.orders.answer(request).body)

    def test_counts_the_orders_it_took(self) -> None:
        self.ask("POST", "/orders", {"product": "3", "quantity": 2})
        self.ask("POST", "/orders", {"product": "5", "quantity": 1})
        self.assertEqual(self.ask("GET", "/orders/count")["count"], 2)
        self.assertEqual(self.ask("GET", "/orders/count?product=3")["count"], 1)

    def test_refuses_an_order_of_nothing(self) -> None:
        with self.assertRaises(Problem) as raised:
            self.ask("POST", "/orders", {"product": "3", "quantity": 0})
        self.assertEqual(raised.exception.status, 400)
        self.assertEqual(self.ask("GET", "/orders/count")["count"], 0)
