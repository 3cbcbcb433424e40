"""The agent daemon: obeys, refuses, acts. Knows the protocol only."""

import os

# Looking for pydantic plug-ins reads the metadata of every installed package at each start, and
# would let any of them watch the checks an order goes through.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
