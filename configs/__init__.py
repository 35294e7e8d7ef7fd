"""The presets, as plain files; see docs/configuration.md."""
