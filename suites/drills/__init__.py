"""Recoveries, measured."""
