"""The published language: kinds, actions, parsing and validation messages."""
