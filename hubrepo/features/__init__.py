"""The surfaces: one folder each, strangers to one another."""
