"""The status of one process: a snapshot, and the page that shows it.

The gateway and the Django plugin show the same page; each brings its own events.
"""
