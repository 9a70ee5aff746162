"""The load to expect of nodes: forecasts, their usual error, and peaks (docs/design/forecast.md). Pure."""
