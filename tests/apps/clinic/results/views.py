"""Laboratory results: the latest, a month of them, new ones, and their review."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from clinic.answers import Refused, read_day, read_json, read_limit
from people.models import Patient
from results.export import write_document
from results.models import Result
from results.ranges import UNITS, age_on, judge, reference


@require_GET
def show_latest(request: HttpRequest) -> JsonResponse:
    """The latest results of one kind, those of today first."""
    code = request.GET.get("code", "")
    if code not in UNITS:
        raise Refused(400, f"expected code to be one of {', '.join(UNITS)}")
    limit = read_limit(request, 20, 200)
    found = []
    for result in Result.objects.filter(code=code).select_related("patient").order_by("-taken_at", "-id")[:limit]:
        age = age_on(result.patient.born_on, result.taken_at.date())
        assessment = judge(result.value, reference(code, age, result.patient.sex))
        found.append(
            {
                "id": result.id,
                "patient": {"id": result.patient_id, "name": result.patient.name},
                "value": str(result.value),
                "unit": result.unit,
                "taken_at": result.taken_at,
                "assessment": assessment,
                "reviewed": result.reviewed,
            }
        )
    return JsonResponse({"code": code, "results": found})


@require_GET
def export_month(request: HttpRequest) -> HttpResponse:
    """All results of a month: `month=2026-05`."""
    month = request.GET.get("month", "")
    first = datetime.combine(read_day(f"{month}-01"), datetime.min.time(), UTC)
    last = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    results = Result.objects.filter(taken_at__gte=first, taken_at__lt=last).select_related("patient")
    return HttpResponse(write_document(month, results.order_by("taken_at", "id")), content_type="application/json")


@require_POST
def add_result(request: HttpRequest, patient_id: int) -> JsonResponse:
    """Note a result: `{"code", "value", "taken_at"}`."""
    body = read_json(request, "code", "value", "taken_at")
    if body["code"] not in UNITS:
        raise Refused(400, "no such code")
    try:
        value = Decimal(str(body["value"])).quantize(Decimal("0.01"))
        taken_at = datetime.fromisoformat(body["taken_at"]).replace(tzinfo=UTC)
    except (InvalidOperation, TypeError, ValueError):
        raise Refused(400, "expected a number and a time") from None
    if not Patient.objects.filter(id=patient_id).exists():
        raise Refused(404, "no such patient")
    made = Result.objects.create(
        patient_id=patient_id, code=body["code"], value=value, unit=UNITS[body["code"]], taken_at=taken_at
    )
    return JsonResponse({"id": made.id, "value": str(value), "unit": made.unit}, status=201)


@require_POST
def review(request: HttpRequest, result_id: int) -> JsonResponse:
    """A doctor has seen it."""
    if not Result.objects.filter(id=result_id).update(reviewed=True):
        raise Refused(404, "no such result")
    return JsonResponse({"id": result_id, "reviewed": True})
