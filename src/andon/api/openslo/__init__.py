"""OpenSLO v1: documents read, checked, understood and written."""
