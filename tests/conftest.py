"""Fixtures that more than one folder of tests uses: the real servers, and whole systems."""

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.s3",
    "tests.servers.oidc",
    "tests.interaction.fixtures",
]
