"""The `writ` command: parses arguments, calls the REST API, prints. Holds no rights of its own."""
