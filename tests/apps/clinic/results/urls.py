"""Paths of laboratory results."""

from django.urls import path

from results import views

urlpatterns = [
    path("results/latest", views.show_latest),
    path("results/export", views.export_month),
    path("results/<int:result_id>/review", views.review),
    path("patients/<int:patient_id>/results", views.add_result),
]
