"""The platform under test as the suites see it: contract, typed client, and the ways to reach one."""
