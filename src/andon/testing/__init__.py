"""What tests of Andon and of its plugins share: fake clock, in-memory ports, conformance suites."""
