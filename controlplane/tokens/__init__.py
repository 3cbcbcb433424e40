"""Short-lived tokens that tell other services who somebody is, checked without asking the hub."""
