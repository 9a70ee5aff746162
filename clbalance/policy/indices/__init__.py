"""Load indices: one table says all that there is to say of each."""
