"""What the product does, free of HTTP."""
