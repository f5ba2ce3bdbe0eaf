"""Settings. What differs between places comes from the environment."""

import os

from clinic.database import read_url

SECRET_KEY = os.environ.get("CLINIC_SECRET_KEY", "only-for-development")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
INSTALLED_APPS = ["people", "visits", "results"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "clinic.answers.RefusalMiddleware"]
ROOT_URLCONF = "clinic.urls"
WSGI_APPLICATION = "clinic.wsgi.application"
DATABASES = {"default": read_url(os.environ.get("DATABASE_URL", "sqlite:///clinic.db"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
