"""All paths."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


urlpatterns = [
    path("health", health),
    path("api/", include("people.urls")),
    path("api/", include("visits.urls")),
    path("api/", include("results.urls")),
]
