"""The applications have tests of their own, run in their own environment by `tests/unit/test_apps.py`."""

collect_ignore_glob = ["*/*"]
