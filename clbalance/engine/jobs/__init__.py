"""Jobs that were submitted before: reconcile them with their nodes, wait for them, record their ends."""
