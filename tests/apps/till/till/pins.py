"""PINs are kept as slow hashes, so that a stolen database tells none."""

import hashlib

ROUNDS = 5_000


def make(pin: str) -> str:
    """What is kept of a PIN."""
    return hashlib.pbkdf2_hmac("sha256", pin.encode(), b"till", ROUNDS).hex()


def fits(pin: str, kept: str) -> bool:
    """Whether it is the one."""
    return make(pin) == kept
