"""What a suite does with a target: overlapping requests now; storms, drills, replays and handoffs later."""
