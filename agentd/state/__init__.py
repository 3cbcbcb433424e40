"""What the agent remembers: one SQLite file, one writer thread, one table a noun."""

from agentd.state.database import StateDatabase

__all__ = ["StateDatabase"]
