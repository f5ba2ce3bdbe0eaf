"""Where the files lie in the target's repository.

Below `docs`, as build tools of Python and Node leave that folder alone: a new folder beside the packages of a project
would be taken for another package by setuptools.
"""

FOLDER = "docs/perfcrew"
PAGE = f"{FOLDER}/README.md"
WORKLOAD = f"{FOLDER}/perfcrew.toml"
DASHBOARD = f"{FOLDER}/dashboard.json"
ALERTS = f"{FOLDER}/alerts.yml"
PIPELINE = ".github/workflows/perfcrew.yml"
ALL = (PAGE, WORKLOAD, DASHBOARD, ALERTS, PIPELINE)
