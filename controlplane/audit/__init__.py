"""The record as others read and prove it."""
