"""Authority lent onwards, and taken back."""
