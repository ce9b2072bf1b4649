import unittest

from shop import ask


class StorefrontTest(unittest.TestCase):
    def test_home_page_leads_to_the_products(self) -> None:
        home = ask("storefront", "GET", "/")
        self.assertEqual(home.status, 200)
        self.assertIn('href="/products/3"', home.text)
        self.assertIn("orders so far", home.text)

    def test_product_page_shows_the_catalogues_price(self) -> None:
        product = ask("storefront", "GET", "/products").json()[2]
        page = ask("storefront", "GET", f"/products/{product['id']}").text
        self.assertIn(f"€ {product['price_cents'] // 100}.", page)

    def test_order_is_taken_and_priced(self) -> None:
        product = ask("storefront", "GET", "/products").json()[2]
        order = {"product": product["id"], "quantity": 2}
        answer = ask("storefront", "POST", "/orders", order)
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.json()["cents"], 2 * product["price_cents"])

    def test_unknown_product_is_not_found(self) -> None:
        self.assertEqual(ask("storefront", "GET", "/products/none").status, 404)
