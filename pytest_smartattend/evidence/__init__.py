"""What a check saw: recorded while it runs, journaled line by line, carried from worker to controller."""
