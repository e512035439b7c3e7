"""What holds for our own tests."""

from contextlib import suppress

with suppress(ModuleNotFoundError):  # the lanes install only what they show
    from hypothesis import settings

    # How long one example takes says nothing here: the machine is shared.
    settings.register_profile("ours", deadline=None)
    settings.load_profile("ours")
