"""What is put on a target's import path for a traced start; stdlib only, Python 3.9 and later."""
