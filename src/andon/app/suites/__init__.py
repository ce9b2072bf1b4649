"""Tests as data: read from the Runs, told to people, and handed to the jobs that split or select."""
