"""What the command line and the library wire alike: settings, candidates, transport, store and policy of one call."""
