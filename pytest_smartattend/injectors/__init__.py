"""Carries faults out on sockets and processes. Each is a context manager that heals, and proves that it healed."""
