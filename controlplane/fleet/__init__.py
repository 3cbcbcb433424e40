"""The agents: who may come, who is there, who has to go."""
