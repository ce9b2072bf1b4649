"""The line itself: gates, Holds, latches, and the turns every Run takes.

The one domain the others may import; it imports none of them.
"""
