"""What the laboratory found."""

from django.db import models

from people.models import Patient


class Result(models.Model):
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="results")
    code = models.CharField(max_length=8)
    value = models.DecimalField(max_digits=8, decimal_places=2)
    unit = models.CharField(max_length=12)
    taken_at = models.DateTimeField()
    reviewed = models.BooleanField(default=False)
