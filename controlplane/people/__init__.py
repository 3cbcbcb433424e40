"""People: who there is, in which realms and roles, who is invited, and what they were granted."""
