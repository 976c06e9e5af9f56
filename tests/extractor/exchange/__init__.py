"""Vectors out to other tools, and theirs in."""
