"""A real PostgreSQL for a run: chosen, started from a cache, cloned per test, and gone afterwards."""
