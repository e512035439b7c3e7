"""Scenarios: the life cycle of incidents and attendance, every cell of every table."""
