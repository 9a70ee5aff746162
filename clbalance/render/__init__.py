"""Turns values into text: for people, as JSON or as plain lines. Reads no options, environment, clock or node."""
