"""Filter, score, select, charge. Pure."""
