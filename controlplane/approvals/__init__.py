"""Calls that wait for people, and what people say to them."""
