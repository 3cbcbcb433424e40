"""Authority lent, passed on and taken back: the hub's side of delegations and revocations."""
