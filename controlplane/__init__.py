"""The hub: decides and routes. Never executes work."""
