"""After rows were put in with their numbers: lets PostgreSQL count on from the highest."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.core.management.color import no_style
from django.db import connection


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            for sql in connection.ops.sequence_reset_sql(no_style(), list(apps.get_models())):
                cursor.execute(sql)
