"""What is typed to set up, to check and to tidy up."""
