"""Teamboard: the dashboard service of the workspace product."""

__version__ = "3.8.2"
