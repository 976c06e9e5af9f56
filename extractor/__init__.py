"""Videos and texts in, shards out. PyAV is imported under `media/` only."""
