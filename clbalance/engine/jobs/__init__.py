"""Jobs that were submitted before: reconcile them with their nodes, wait, conclude."""
