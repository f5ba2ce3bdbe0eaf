"""Results as the health authority wants them, a month in one document."""

import json
from collections.abc import Iterable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from results.models import Result
from results.ranges import age_on, judge, reference


def to_record(result: Result) -> dict[str, Any]:
    """One result with the patient's age that day, the usual range and what it means."""
    patient = result.patient
    age = age_on(patient.born_on, result.taken_at.date())
    usual = reference(result.code, age, patient.sex)
    return {
        "result": result.id,
        "taken_at": result.taken_at,
        "code": result.code,
        "value": result.value,
        "unit": result.unit,
        "reference": {"low": usual[0], "high": usual[1]} if usual else None,
        "assessment": judge(result.value, usual),
        "patient": {"insurance_number": patient.insurance_number, "age": age, "sex": patient.sex},
    }


def write_document(month: str, results: Iterable[Result]) -> str:
    """The whole document."""
    records = [to_record(result) for result in results]
    return json.dumps({"month": month, "count": len(records), "results": records}, cls=DjangoJSONEncoder, indent=2)
