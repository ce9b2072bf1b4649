"""Rules by which other tools judge a rollout, written anew from what they are documented to do.

They are shown beside the judge, and compared with it; they decide nothing.
"""
