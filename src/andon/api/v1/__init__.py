"""``andon/v1``: definitions people write, records controllers write, actions ports perform.

What every command reads or writes does not postpone its annotations: msgspec would compile and evaluate
each of them at every start, which takes longer than to load all of these modules.
"""
