"""Storms: load, faults and wrong clocks, all of them seeded; the database is compared with every answer afterwards."""
