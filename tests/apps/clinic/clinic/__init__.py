"""A group practice: its doctors, patients, appointments and laboratory results."""
