"""What holds for our own tests."""

import signal
from contextlib import suppress

# What a shell starts in its background ignores Ctrl-C, and so would all that is started and interrupted here.
signal.signal(signal.SIGINT, signal.default_int_handler)

with suppress(ModuleNotFoundError):  # the lanes install only what they show
    from hypothesis import HealthCheck, settings

    # How long one example takes, to make or to try, says nothing here: the machine is shared.
    settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("ours")
