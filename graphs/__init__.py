"""The recipe as a state machine."""
