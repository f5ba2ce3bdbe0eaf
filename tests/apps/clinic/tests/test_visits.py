"""Appointments."""

from datetime import datetime

from people.models import Allergy
from tests.small_practice import SmallPractice
from visits.models import Appointment

DAY = "/api/doctors/1/day?date=2026-06-30"


class DayTest(SmallPractice):
    def test_a_day_is_in_order_and_complete(self) -> None:
        day = self.client.get(DAY).json()
        starts = [each["starts_at"] for each in day["appointments"]]
        self.assertEqual((day["date"], len(starts)), ("2026-06-30", 12))
        self.assertEqual(starts, sorted(starts))
        self.assertTrue(all(start.startswith("2026-06-30T") for start in starts))

    def test_each_appointment_shows_patient_allergies_and_last_visit(self) -> None:
        for shown in self.client.get(DAY).json()["appointments"]:
            patient = shown["patient"]["id"]
            allergies = Allergy.objects.filter(patient=patient).values_list("substance", flat=True)
            self.assertEqual(shown["allergies"], sorted(allergies))
            start = datetime.fromisoformat(shown["starts_at"])
            before = Appointment.objects.filter(patient=patient, starts_at__lt=start)
            latest = max((each.starts_at for each in before), default=None)
            seen = shown["last_seen"] and datetime.fromisoformat(shown["last_seen"])
            self.assertEqual(seen, latest)

    def test_a_day_off_is_empty(self) -> None:
        self.assertEqual(self.client.get("/api/doctors/1/day?date=2031-01-01").json()["appointments"], [])

    def test_unknown_doctor_and_wrong_date(self) -> None:
        self.assertEqual(self.client.get("/api/doctors/99/day?date=2026-06-30").status_code, 404)
        self.assertEqual(self.client.get("/api/doctors/1/day?date=soon").status_code, 400)
        self.assertEqual(self.client.get("/api/doctors/1/day").status_code, 400)


class BookingTest(SmallPractice):
    def book(self, **changes: object):
        body = {"doctor_id": 1, "patient_id": 2, "starts_at": "2027-01-04T09:30", "reason": "check-up", **changes}
        return self.client.post("/api/appointments", body, content_type="application/json")

    def test_what_is_booked_shows_in_the_day(self) -> None:
        made = self.book()
        self.assertEqual(made.status_code, 201)
        (shown,) = self.client.get("/api/doctors/1/day?date=2027-01-04").json()["appointments"]
        self.assertEqual((shown["id"], shown["reason"], shown["patient"]["id"]), (made.json()["id"], "check-up", 2))

    def test_a_taken_slot_is_refused(self) -> None:
        self.assertEqual([self.book().status_code, self.book(patient_id=3).status_code], [201, 409])
        self.assertEqual(self.book(doctor_id=2).status_code, 201)

    def test_a_cancelled_slot_is_free_again(self) -> None:
        number = self.book().json()["id"]
        self.assertEqual(self.client.delete(f"/api/appointments/{number}").status_code, 204)
        self.assertEqual(self.client.delete(f"/api/appointments/{number}").status_code, 404)
        self.assertEqual(self.book().status_code, 201)

    def test_odd_times_are_refused(self) -> None:
        for starts_at in ("2027-01-04T09:31", "2027-01-04T07:45", "2027-01-04T18:00", "noon", 9):
            self.assertEqual(self.book(starts_at=starts_at).status_code, 400, starts_at)

    def test_unknown_people_are_refused(self) -> None:
        self.assertEqual(self.book(doctor_id=99).json(), {"error": "no such doctor"})
        self.assertEqual(self.book(patient_id=99999).json(), {"error": "no such patient"})

    def test_no_json_is_refused(self) -> None:
        self.assertEqual(self.client.post("/api/appointments", "x", content_type="text/plain").status_code, 400)
        self.assertEqual(self.client.post("/api/appointments", [1], content_type="application/json").status_code, 400)
        self.assertEqual(self.client.post("/api/appointments", {}, content_type="application/json").status_code, 400)
