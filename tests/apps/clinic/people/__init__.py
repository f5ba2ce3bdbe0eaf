"""Doctors and patients."""
