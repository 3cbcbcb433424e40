"""The work an agent can do: one file per namespace of actions, found by `registry`."""
