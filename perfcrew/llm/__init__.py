"""Models behind one protocol, and the journal of what they said."""
