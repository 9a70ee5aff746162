"""`top`: rounds of answers, one frame or value for each, and the live screen."""
