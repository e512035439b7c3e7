"""Defects in what leaves the platform."""

from __future__ import annotations

from pytest_smartattend.sabotage.defect import Sabotage

EXPORTS = (
    Sabotage(
        "exports-left-open",
        "the owner of the database can take out who exported what",
        apply_sql="drop trigger exports_append_only on exports; drop trigger exports_append_only_rows on exports",
    ),
)
