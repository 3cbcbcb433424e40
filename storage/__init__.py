"""The memory of the hub: rows and files. Knows protocol values; never HTTP, sockets or permissions."""
