"""The gateway: requests of five dialects come in over HTTP, and go the one road of a route.

`gateway.py` is the ASGI application; `server.py` and `workers.py` run it for `pilotlight serve`.
What becomes of a request (which target, which fault) is the exchange's affair and the flow's;
here is decided who may ask, how much, and under which name.
"""
