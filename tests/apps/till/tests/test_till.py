"""What the till promises."""

import tempfile
import unittest
from pathlib import Path

from till import money, seed, store
from till.api import Asked, answer


class Till(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.database = str(Path(cls.folder.name) / "till.db")
        store.migrate(cls.database)
        seed.fill(cls.database)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def ask(self, path: str, method: str = "GET", token: str = "", body: object = None, **query: str):
        return answer(Asked(method, path, query, token, body or {}), self.database)

    def test_a_page_has_its_size(self) -> None:
        self.assertEqual(len(self.ask("/api/products", category="tea", limit="5").value), 5)

    def test_an_unknown_place_is_not_found(self) -> None:
        self.assertEqual(self.ask("/api/shelves").status, 404)

    def test_nobody_has_no_account(self) -> None:
        self.assertEqual(self.ask("/api/account").status, 401)

    def test_a_sale_takes_from_the_stock(self) -> None:
        self.assertEqual(self.ask("/api/sales", "POST", "token-2", {"product": 7, "quantity": 2}).status, 201)
        self.assertEqual(self.ask("/api/products/7").value["stock"], 498)

    def test_money_is_whole_cents(self) -> None:
        self.assertEqual(money.net_cents(1000, 1, 10), 900)

    def test_a_report_counts(self) -> None:
        self.assertGreater(self.ask("/api/report", category="tea").value["sales"], 0)


if __name__ == "__main__":
    unittest.main()
