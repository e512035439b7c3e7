"""Fixtures of the room `evidence`."""
