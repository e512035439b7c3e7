"""Fixtures of the room `target`."""
