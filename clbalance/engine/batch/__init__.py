"""Jobs that a batch system runs in our place: submitting, following and settling them (docs/design/engines.md)."""
