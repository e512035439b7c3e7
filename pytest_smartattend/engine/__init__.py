"""Pure: units, dice, faults as values, histories, checkers. Touches no socket, wall clock or global randomness."""
