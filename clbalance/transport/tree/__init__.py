"""ClusterShell's tree mode: nodes are asked through gateways (docs/design/scale.md)."""
