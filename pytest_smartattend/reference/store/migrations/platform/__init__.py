"""The history of ``DATABASE_URL``: tenants and users."""
