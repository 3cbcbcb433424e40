"""The memory of the hub: rows and files. Knows protocol values, never HTTP or permissions."""
