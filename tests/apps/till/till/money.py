"""Amounts: exact, and rounded as the shop's customers expect it."""

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def net_cents(price_cents: int, quantity: int, discount_percent: int) -> int:
    """What a sale brings in, in cents; half a cent is rounded up."""
    full = Decimal(price_cents) * quantity * (100 - discount_percent) / 100
    return int(full.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def per_kilo(price_cents: int, weight_kg: float) -> str:
    """Price of a kilogram."""
    return str((Decimal(price_cents) / 100 / Decimal(weight_kg)).quantize(CENT, rounding=ROUND_HALF_UP))
