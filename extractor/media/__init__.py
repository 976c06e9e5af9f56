"""Everything that touches PyAV: reading pictures at exact times, writing frames to a file."""
