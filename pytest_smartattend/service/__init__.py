"""The door to a port: the platform with the validation endpoints on top, which run suites and simulations as jobs."""
