"""Who is asking, and what they may do: the only permission check of the hub."""
