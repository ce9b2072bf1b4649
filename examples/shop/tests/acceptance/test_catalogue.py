import unittest

from shop import ask


class CatalogueTest(unittest.TestCase):
    def test_every_product_of_the_list_has_a_price(self) -> None:
        products = ask("catalogue", "GET", "/products").json()
        self.assertGreaterEqual(len(products), 10)
        self.assertTrue(all(product["price_cents"] > 0 for product in products))

    def test_product_is_found_by_its_id(self) -> None:
        self.assertEqual(ask("catalogue", "GET", "/products/3").json()["id"], "3")

    def test_unknown_product_is_not_found(self) -> None:
        self.assertEqual(ask("catalogue", "GET", "/products/none").status, 404)
