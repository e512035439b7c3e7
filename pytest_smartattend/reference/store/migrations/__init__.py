"""Alembic's folder: one environment, two histories (`platform`, `incidents`)."""
