"""The site that the plugin is tested in."""
