"""What a suite does with a target: overlapping requests and storms; drills, replays and handoffs later."""
