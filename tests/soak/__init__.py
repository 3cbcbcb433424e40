"""Steady load for an hour or any time, and what grows meanwhile: `make soak`."""
