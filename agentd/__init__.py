"""The agent daemon: obeys, refuses, acts. Knows the protocol only."""
