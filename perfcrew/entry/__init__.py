"""Ways in: thin layers that parse, call the engine and render."""
