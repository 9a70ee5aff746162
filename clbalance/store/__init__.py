"""What this submit host remembers: a SQLite file on a local disk, or nothing beyond this process."""
