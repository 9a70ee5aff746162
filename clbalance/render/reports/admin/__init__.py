"""Reports on the settings, the health of nodes, leftovers and the lab."""
