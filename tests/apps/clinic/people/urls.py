"""Paths of doctors and patients."""

from django.urls import path

from people import views

urlpatterns = [
    path("doctors", views.list_doctors),
    path("patients/<int:patient_id>", views.show_patient),
]
