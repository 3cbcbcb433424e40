"""What agents may do: policies as people write them, signed for each agent."""
