"""Thin pytest fixtures and hooks, one module per room. Modules here import only pytest and light rooms at the top."""
