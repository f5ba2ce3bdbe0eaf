"""Reading requests and writing errors, alike in all applications."""

import json
from datetime import date
from typing import Any

from django.http import HttpRequest, JsonResponse


class Refused(Exception):
    """A request that can't be met: becomes a JSON answer with this status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class RefusalMiddleware:
    """Turns `Refused` into its answer."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> JsonResponse | None:
        if isinstance(error, Refused):
            return JsonResponse({"error": str(error)}, status=error.status)
        return None


def read_json(request: HttpRequest, *names: str) -> dict[str, Any]:
    """The body as an object that has these keys."""
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Refused(400, "expected JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "expected an object")
    missing = [name for name in names if name not in body]
    if missing:
        raise Refused(400, f"missing: {', '.join(missing)}")
    return body


def read_day(text: str | None) -> date:
    """An ISO date."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        raise Refused(400, "expected date=YYYY-MM-DD") from None


def read_limit(request: HttpRequest, default: int, most: int) -> int:
    """`limit` from the query, between 1 and `most`."""
    try:
        return min(max(int(request.GET.get("limit", default)), 1), most)
    except ValueError:
        raise Refused(400, "expected a whole number for limit") from None
