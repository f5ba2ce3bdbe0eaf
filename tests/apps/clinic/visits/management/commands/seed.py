"""Fills an empty, migrated database with a practice that looks real, the same each time."""

import random
from argparse import ArgumentParser
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from people.models import Allergy, Doctor, Patient
from results.models import Result
from results.ranges import UNITS
from visits.models import Appointment

TODAY = date(2026, 6, 30)
FIRST = ("Ada", "Ben", "Clara", "Deniz", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Leo", "Mina")
LAST = ("Adler", "Bauer", "Costa", "Demir", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Jansen", "Klein", "Lopez")
SPECIALTIES = ("general medicine", "cardiology", "paediatrics", "dermatology", "orthopaedics", "neurology")
SUBSTANCES = ("penicillin", "latex", "nuts", "pollen", "ibuprofen", "iodine", "wasp venom", "milk")
REASONS = ("check-up", "pain", "vaccination", "control", "prescription", "fever", "second opinion")
TYPICAL = {"HB": 14.0, "K": 4.3, "NA": 140.0, "CREA": 0.9, "TSH": 2.1, "CRP": 3.5}
DOCTORS, PATIENTS, RESULTS, DAYS, SLOTS = 24, 2000, 24_000, 40, 12


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--scale", type=float, default=1.0, help="share of the patients and results")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        with transaction.atomic():
            counts = fill(options["scale"])
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))


def fill(scale: float = 1.0) -> dict[str, int]:
    """All tables; how many rows each got."""
    chance = random.Random(1)
    doctors, days = max(int(DOCTORS * scale), 4), max(int(DAYS * scale), 10)
    patients, results = max(int(PATIENTS * scale), 60), max(int(RESULTS * scale), 400)
    rows: list[list[Any]] = [
        [Doctor(id=n, name=f"Dr {_name(chance)}", specialty=chance.choice(SPECIALTIES)) for n in range(1, doctors + 1)],
        [_patient(n, chance) for n in range(1, patients + 1)],
        list(_allergies(patients, chance)),
        list(_appointments(doctors, patients, days, chance)),
        [_result(patients, chance) for _ in range(results)],
    ]
    counts = {}
    for made in rows:
        model = type(made[0])
        model.objects.bulk_create(made, batch_size=500)
        counts[model._meta.verbose_name_plural] = len(made)
    call_command("sync_sequences", verbosity=0)
    return {str(name): count for name, count in counts.items()}


def _name(chance: random.Random) -> str:
    return f"{chance.choice(FIRST)} {chance.choice(LAST)}"


def _patient(number: int, chance: random.Random) -> Patient:
    born = TODAY - timedelta(days=chance.randint(300, 33_000))
    insured = f"{chance.choice('ABCDEFGHKLMN')}{number:06d}{chance.randint(100, 999)}"
    return Patient(id=number, name=_name(chance), born_on=born, sex=chance.choice("fm"), insurance_number=insured)


def _allergies(patients: int, chance: random.Random) -> Any:
    for patient in range(1, patients + 1):
        for substance in chance.sample(SUBSTANCES, chance.choice((0, 0, 1, 1, 2))):
            yield Allergy(patient_id=patient, substance=substance)


def _appointments(doctors: int, patients: int, days: int, chance: random.Random) -> Any:
    for back in range(days):
        day = datetime.combine(TODAY - timedelta(days=back - 5), datetime.min.time(), UTC)
        for doctor in range(1, doctors + 1):
            for slot in sorted(chance.sample(range(40), SLOTS)):
                yield Appointment(
                    doctor_id=doctor,
                    patient_id=chance.randint(1, patients),
                    starts_at=day + timedelta(hours=8, minutes=15 * slot),
                    reason=chance.choice(REASONS),
                )


def _result(patients: int, chance: random.Random) -> Result:
    code = chance.choice(tuple(UNITS))
    taken = datetime.combine(TODAY, datetime.min.time(), UTC) - timedelta(minutes=chance.randint(0, 180 * 24 * 60))
    value = Decimal(str(round(TYPICAL[code] * chance.uniform(0.6, 1.5), 2)))
    return Result(
        patient_id=chance.randint(1, patients), code=code, value=value, unit=UNITS[code], taken_at=taken,
        reviewed=chance.random() < 0.8,
    )  # fmt: skip
