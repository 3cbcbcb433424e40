"""What the agent remembers: one SQLite file, one table a noun."""

from agentd.state.database import StateDatabase

__all__ = ["StateDatabase"]
