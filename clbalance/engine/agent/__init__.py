"""Talk to the agents on nodes: messages, sessions, launch, follow."""
