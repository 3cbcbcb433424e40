"""Files that people and agents put here, and where their bytes are kept."""
