"""Tests of the clinic: `python manage.py test`."""
