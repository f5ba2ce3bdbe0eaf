"""Who works here, and a patient's card."""

from django.db.models import Count
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from clinic.answers import Refused
from people.models import Doctor, Patient
from visits.models import Appointment

SHOWN_VISITS = 5


@require_GET
def list_doctors(request: HttpRequest) -> JsonResponse:
    """All doctors by name, with their number of appointments."""
    doctors = Doctor.objects.annotate(appointments=Count("appointment")).order_by("name", "id")
    found = [
        {"id": doctor.id, "name": doctor.name, "specialty": doctor.specialty, "appointments": doctor.appointments}
        for doctor in doctors
    ]
    return JsonResponse({"doctors": found})


@require_GET
def show_patient(request: HttpRequest, patient_id: int) -> JsonResponse:
    """A patient with allergies and the latest visits."""
    patient = Patient.objects.filter(id=patient_id).first()
    if patient is None:
        raise Refused(404, "no such patient")
    visits = Appointment.objects.filter(patient=patient).select_related("doctor").order_by("-starts_at")[:SHOWN_VISITS]
    return JsonResponse(
        {
            "id": patient.id,
            "name": patient.name,
            "born_on": patient.born_on,
            "insurance_number": patient.insurance_number,
            "allergies": sorted(allergy.substance for allergy in patient.allergies.all()),
            "visits": [{"starts_at": visit.starts_at, "doctor": visit.doctor.name} for visit in visits],
        }
    )
