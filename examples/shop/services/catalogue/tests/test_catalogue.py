import unittest

from server import Catalogue
from web import Problem, Request

LAMP = {"id": "3", "name": "Signal lamp", "price_cents": 2450}


def get(catalogue: Catalogue, path: str) -> object:
    answer = catalogue.answer(Request("GET", path, {"x-client": "unit-181"}))
    return Request("GET", path, {}, answer.body).json()


class CatalogueTest(unittest.TestCase):
    def setUp(self) -> None:
        self.catalogue = Catalogue([LAMP])

    def test_lists_what_is_sold(self) -> None:
        self.assertEqual([product["id"] for product in get(self.catalogue, "/products")], ["3"])

    def test_shows_one_product(self) -> None:
        self.assertEqual(get(self.catalogue, "/products/3")["price_cents"], 2450)

    def test_does_not_know_other_products(self) -> None:
        with self.assertRaises(Problem) as raised:
            get(self.catalogue, "/products/4")
        self.assertEqual(raised.exception.status, 404)
