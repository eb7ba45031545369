"""Endpoints asked over our own connections, in the dialects that they speak."""
