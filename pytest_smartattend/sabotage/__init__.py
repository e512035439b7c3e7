"""Defects planted in the reference platform, each as a value, to show that a check can fail."""
