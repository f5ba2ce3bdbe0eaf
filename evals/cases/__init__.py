"""Applications with known bottlenecks, and recorded runs on them."""
