"""The state of this submit host: in a SQLite file on a local disk, or only in the memory of this process."""
