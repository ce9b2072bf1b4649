"""Rollouts that never happened: what judges would have made of them, and what users would have felt."""
