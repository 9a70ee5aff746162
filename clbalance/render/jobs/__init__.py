"""Jobs in words, columns and JSON: what several reports share."""
