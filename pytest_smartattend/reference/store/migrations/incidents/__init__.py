"""The history of ``INCIDENTS_DATABASE_URL``: incidents and all that is appended to them."""
