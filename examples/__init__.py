"""Every example of the documentation, as files that run."""
