import unittest

from shop import ask


class OrdersTest(unittest.TestCase):
    def test_order_is_taken(self) -> None:
        answer = ask("orders", "POST", "/orders", {"product": "3", "quantity": 1})
        self.assertEqual(answer.status, 201)
        self.assertGreater(answer.json()["number"], 0)

    def test_orders_are_counted(self) -> None:
        self.assertGreaterEqual(ask("orders", "GET", "/orders/count").json()["count"], 0)

    def test_order_of_nothing_is_refused(self) -> None:
        self.assertEqual(ask("orders", "POST", "/orders", {"product": "3"}).status, 400)
