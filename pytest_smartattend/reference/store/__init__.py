"""SmartAttend in SQL: tables, sessions, repositories, migrations."""
