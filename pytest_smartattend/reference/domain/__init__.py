"""Pure rules of SmartAttend: states, tables, hashes, windows. Touches no socket, clock or database."""
