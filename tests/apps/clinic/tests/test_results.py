"""Laboratory results."""

from datetime import date
from decimal import Decimal

from django.test import SimpleTestCase

from results.models import Result
from results.ranges import age_on, judge, reference
from tests.small_practice import SmallPractice


class RangesTest(SimpleTestCase):
    def test_age_counts_full_years(self) -> None:
        self.assertEqual([age_on(date(2000, 6, 30), date(2026, 6, day)) for day in (29, 30)], [25, 26])

    def test_ranges_depend_on_age_and_sex(self) -> None:
        self.assertEqual(reference("HB", 30, "m"), (Decimal("13.50"), Decimal("17.20")))
        self.assertEqual(reference("HB", 17, "m"), reference("HB", 17, "f"))
        self.assertIsNone(reference("X", 30, "f"))

    def test_the_bounds_are_normal(self) -> None:
        usual = (Decimal("3.50"), Decimal("5.10"))
        values = ("3.49", "3.50", "5.10", "5.11")
        self.assertEqual([judge(Decimal(each), usual) for each in values], ["low", "normal", "normal", "high"])
        self.assertEqual(judge(Decimal(1), None), "unknown")


class ResultsTest(SmallPractice):
    def test_the_latest_come_first(self) -> None:
        latest = self.client.get("/api/results/latest?code=K&limit=30").json()["results"]
        taken = [each["taken_at"] for each in latest]
        self.assertEqual((len(taken), taken), (30, sorted(taken, reverse=True)))
        self.assertEqual(latest[:3], self.client.get("/api/results/latest?code=K&limit=3").json()["results"])

    def test_unknown_code_and_wrong_limit(self) -> None:
        self.assertEqual(self.client.get("/api/results/latest?code=X").status_code, 400)
        self.assertEqual(self.client.get("/api/results/latest?code=K&limit=many").status_code, 400)

    def test_a_new_result_is_the_latest(self) -> None:
        body = {"code": "CRP", "value": 7.125, "taken_at": "2027-01-01T10:00"}
        made = self.client.post("/api/patients/5/results", body, content_type="application/json")
        self.assertEqual((made.status_code, made.json()["value"], made.json()["unit"]), (201, "7.12", "mg/L"))
        first = self.client.get("/api/results/latest?code=CRP&limit=1").json()["results"][0]
        self.assertEqual((first["id"], first["assessment"], first["reviewed"]), (made.json()["id"], "high", False))

    def test_wrong_results_are_refused(self) -> None:
        good = {"code": "K", "value": 4, "taken_at": "2027-01-01T10:00"}
        for change in ({"code": "X"}, {"value": "much"}, {"taken_at": "now"}):
            answer = self.client.post("/api/patients/5/results", good | change, content_type="application/json")
            self.assertEqual(answer.status_code, 400, change)
        unknown = self.client.post("/api/patients/99999/results", good, content_type="application/json")
        self.assertEqual(unknown.status_code, 404)

    def test_review(self) -> None:
        number = Result.objects.filter(reviewed=False).first().id
        self.assertEqual(self.client.post(f"/api/results/{number}/review").json(), {"id": number, "reviewed": True})
        self.assertTrue(Result.objects.get(id=number).reviewed)
        self.assertEqual(self.client.post("/api/results/999999/review").status_code, 404)

    def test_the_export_holds_the_month_and_nothing_else(self) -> None:
        document = self.client.get("/api/results/export?month=2026-05").json()
        taken = [each["taken_at"] for each in document["results"]]
        expected = Result.objects.filter(taken_at__year=2026, taken_at__month=5).count()
        self.assertEqual((document["count"], len(taken)), (expected, expected))
        self.assertTrue(all(each.startswith("2026-05") for each in taken))
        self.assertEqual(taken, sorted(taken))

    def test_an_exported_record(self) -> None:
        record = self.client.get("/api/results/export?month=2026-05").json()["results"][0]
        result = Result.objects.get(id=record["result"])
        self.assertEqual(record["value"], str(result.value))
        self.assertEqual(record["patient"]["insurance_number"], result.patient.insurance_number)
        low, high = Decimal(record["reference"]["low"]), Decimal(record["reference"]["high"])
        self.assertEqual(record["assessment"], judge(result.value, (low, high)))

    def test_december_ends_and_nonsense_is_refused(self) -> None:
        self.assertEqual(self.client.get("/api/results/export?month=2025-12").status_code, 200)
        self.assertEqual(self.client.get("/api/results/export?month=2026-13").status_code, 400)
        self.assertEqual(self.client.get("/api/results/export").status_code, 400)
