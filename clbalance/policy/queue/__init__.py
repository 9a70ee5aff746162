"""The queue, backfill, and the replay of traces. Pure."""
