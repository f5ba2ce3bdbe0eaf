"""Paths of appointments."""

from django.urls import path

from visits import views

urlpatterns = [
    path("doctors/<int:doctor_id>/day", views.show_day),
    path("appointments", views.make_appointment),
    path("appointments/<int:appointment_id>", views.cancel_appointment),
]
