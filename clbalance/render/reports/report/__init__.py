"""The report on a period, in each of its forms."""
