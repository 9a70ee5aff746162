"""What plug-ins of a site are to decisions: their rules, what they see, and what is wrong with them. Pure."""
