"""What is known of the load to come, beside the history."""
