"""Load indices: one table defines all properties of each index. Pure."""
