"""The verdict: requirements, scope, integrity, gate, JSON, HTML. Reads evidence only."""
