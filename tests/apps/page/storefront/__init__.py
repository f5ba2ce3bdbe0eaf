"""A shop's front page with planted problems, and a twin without them."""
