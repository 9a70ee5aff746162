"""Sessions that a long-lived process keeps open between its questions."""
