"""`clbalance shell`: a prompt from which all nodes are asked, over sessions that stay open."""
