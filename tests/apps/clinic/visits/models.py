"""Who comes when."""

from django.db import models

from people.models import Doctor, Patient


class Appointment(models.Model):
    doctor = models.ForeignKey(Doctor, on_delete=models.PROTECT)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    starts_at = models.DateTimeField()
    reason = models.CharField(max_length=80)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["doctor", "starts_at"], name="one_patient_at_a_time")]
