"""Orders: taken in, followed through their states, ended exactly once."""
