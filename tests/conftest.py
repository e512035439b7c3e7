"""What holds for all of the plugin's own tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says something about who else uses the machine, and nothing about what is claimed of it.
settings.register_profile("smartattend", deadline=None)
settings.load_profile("smartattend")
