"""The door: who may come in, by what, and what becomes of those who may not."""
