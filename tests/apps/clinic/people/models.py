"""Who works here and who comes."""

from django.db import models


class Doctor(models.Model):
    name = models.CharField(max_length=80)
    specialty = models.CharField(max_length=40)


class Patient(models.Model):
    name = models.CharField(max_length=80)
    born_on = models.DateField()
    sex = models.CharField(max_length=1, choices=[("f", "female"), ("m", "male")])
    insurance_number = models.CharField(max_length=12, unique=True)


class Allergy(models.Model):
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="allergies")
    substance = models.CharField(max_length=40)

    class Meta:
        verbose_name_plural = "allergies"
