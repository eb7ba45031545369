"""Providers played inside this process: with answers of a script, or with recorded ones.

Every connection of a target is led to a server on loopback (`pilotlight.wire.played`), so that
whatever door a call comes through goes down its whole road, over a real socket, without a
network, a key or an Ollama.
"""
