"""Values in, text out: for people, as JSON or as plain lines. Reads no options, environment, clock or node."""
