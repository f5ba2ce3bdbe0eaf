"""Doctors and patients."""

from people.models import Patient
from tests.small_practice import SmallPractice


class PeopleTest(SmallPractice):
    def test_health(self) -> None:
        self.assertEqual(self.client.get("/health").json(), {"status": "ok"})

    def test_doctors_come_by_name_with_their_appointments(self) -> None:
        doctors = self.client.get("/api/doctors").json()["doctors"]
        self.assertEqual(len(doctors), 4)
        self.assertEqual([each["name"] for each in doctors], sorted(each["name"] for each in doctors))
        self.assertEqual(sum(each["appointments"] for each in doctors), 480)

    def test_a_patients_card(self) -> None:
        card = self.client.get("/api/patients/7").json()
        patient = Patient.objects.get(id=7)
        self.assertEqual((card["name"], card["born_on"]), (patient.name, patient.born_on.isoformat()))
        self.assertEqual(card["allergies"], sorted(each.substance for each in patient.allergies.all()))
        starts = [visit["starts_at"] for visit in card["visits"]]
        self.assertEqual(starts, sorted(starts, reverse=True))
        self.assertLessEqual(len(starts), 5)

    def test_unknown_patient(self) -> None:
        answer = self.client.get("/api/patients/99999")
        self.assertEqual((answer.status_code, answer.json()), (404, {"error": "no such patient"}))

    def test_a_card_takes_the_same_queries_for_everyone(self) -> None:
        for number in (1, 7, 50):
            with self.assertNumQueries(3):
                self.client.get(f"/api/patients/{number}")
