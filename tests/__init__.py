"""Tests, as sentences of behaviour; the folders mirror the four rooms."""
