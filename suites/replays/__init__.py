"""Replays: recorded incidents driven again, and the exports that they come from."""
