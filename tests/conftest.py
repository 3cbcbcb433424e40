"""Fixtures that more than one folder of tests uses: the real servers."""

pytest_plugins = ["tests.servers.postgres", "tests.servers.s3"]
