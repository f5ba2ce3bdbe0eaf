"""From a finished run to something a person or a program reads."""
