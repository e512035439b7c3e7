"""Simulations: hours of an incident on the virtual clock, every stage a real operation over the API."""
