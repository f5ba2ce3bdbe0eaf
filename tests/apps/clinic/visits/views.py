"""A doctor's day, and making and cancelling appointments."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from clinic.answers import Refused, read_day, read_json
from people.models import Doctor, Patient
from visits.models import Appointment


def last_seen(appointment: Appointment) -> datetime | None:
    """When the patient was here before; None on a first visit."""
    before = Appointment.objects.filter(patient=appointment.patient, starts_at__lt=appointment.starts_at)
    latest = before.order_by("-starts_at").first()
    return latest.starts_at if latest else None


def describe(appointment: Appointment) -> dict[str, Any]:
    """An appointment as the front desk sees it."""
    patient = appointment.patient
    return {
        "id": appointment.id,
        "starts_at": appointment.starts_at,
        "reason": appointment.reason,
        "patient": {"id": patient.id, "name": patient.name, "born_on": patient.born_on},
        "allergies": sorted(allergy.substance for allergy in patient.allergies.all()),
        "last_seen": last_seen(appointment),
    }


@require_GET
def show_day(request: HttpRequest, doctor_id: int) -> JsonResponse:
    """A doctor's appointments of one day in their order."""
    doctor = Doctor.objects.filter(id=doctor_id).first()
    if doctor is None:
        raise Refused(404, "no such doctor")
    day = read_day(request.GET.get("date"))
    start = datetime.combine(day, time(), UTC)
    appointments = Appointment.objects.filter(
        doctor=doctor, starts_at__gte=start, starts_at__lt=start + timedelta(days=1)
    ).order_by("starts_at")
    return JsonResponse({"doctor": doctor.name, "date": day, "appointments": [describe(each) for each in appointments]})


@require_POST
def make_appointment(request: HttpRequest) -> JsonResponse:
    """Take a free slot: `{"doctor_id", "patient_id", "starts_at", "reason"}`; 409 where it is taken."""
    body = read_json(request, "doctor_id", "patient_id", "starts_at")
    try:
        starts_at = datetime.fromisoformat(body["starts_at"]).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise Refused(400, "expected starts_at as YYYY-MM-DDTHH:MM") from None
    if starts_at.minute % 15 or starts_at.second or not 8 <= starts_at.hour < 18:
        raise Refused(400, "appointments begin at a quarter of an hour between 8 and 18")
    if not Doctor.objects.filter(id=body["doctor_id"]).exists():
        raise Refused(404, "no such doctor")
    if not Patient.objects.filter(id=body["patient_id"]).exists():
        raise Refused(404, "no such patient")
    try:
        with transaction.atomic():
            made = Appointment.objects.create(
                doctor_id=body["doctor_id"],
                patient_id=body["patient_id"],
                starts_at=starts_at,
                reason=str(body.get("reason", ""))[:80],
            )
    except IntegrityError:
        raise Refused(409, "this slot is taken") from None
    return JsonResponse({"id": made.id, "starts_at": made.starts_at}, status=201)


@require_http_methods(["DELETE"])
def cancel_appointment(request: HttpRequest, appointment_id: int) -> HttpResponse:
    """Give a slot back."""
    deleted, _ = Appointment.objects.filter(id=appointment_id).delete()
    if not deleted:
        raise Refused(404, "no such appointment")
    return HttpResponse(status=204)
