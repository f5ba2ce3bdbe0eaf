"""The templates and the style of the report page."""
