"""The core: decisions only, on the standard library and pybreaker."""
