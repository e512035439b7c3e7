"""Inside the proxy's process: one loop, and what it does to bytes. Standard library and `engine` only."""
