"""Whole runs with a scripted model."""
