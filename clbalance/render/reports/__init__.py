"""The reports, one in each file: values, with their forms for people, as plain lines and as JSON."""
