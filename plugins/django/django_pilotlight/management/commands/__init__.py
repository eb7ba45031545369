"""Management commands; the command `drill` is `manage.py pilotlight_drill`, and so on."""
