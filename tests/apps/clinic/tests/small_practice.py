"""A small practice for tests, seeded once a class."""

from django.test import TestCase

from visits.management.commands.seed import fill


class SmallPractice(TestCase):
    """4 doctors, 100 patients, 480 appointments, 1,200 results."""

    @classmethod
    def setUpTestData(cls) -> None:
        cls.counts = fill(scale=0.05)
