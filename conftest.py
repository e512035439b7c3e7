"""For this repository's own tests. The plugin itself comes in by its entry point."""

pytest_plugins = ["pytester"]
