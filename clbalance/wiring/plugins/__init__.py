"""The site's plug-ins: from the settings to what the engine uses (docs/design/plugins.md)."""
