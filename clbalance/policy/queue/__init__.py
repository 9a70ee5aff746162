"""Jobs that wait, backfilling, and the replay of traces. Pure."""
