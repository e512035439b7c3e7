"""Fixtures of the room `postgres`."""
