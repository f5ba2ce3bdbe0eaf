"""The vocabulary: frozen, closed records that every part shares."""
