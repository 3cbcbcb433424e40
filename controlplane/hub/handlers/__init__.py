"""What the hub does with each kind of frame: one file per conversation."""
