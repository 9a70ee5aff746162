"""One file a report: its values, and how it draws itself for people, in plain lines and as JSON."""
