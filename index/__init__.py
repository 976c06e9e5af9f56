"""Shards in, snapshots out, and search over them."""
