"""What stands in many answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Time = Annotated[float, Meta(description="Seconds since the Unix epoch, UTC; 0: not yet.")]
Revision = Annotated[str, Meta(description="What `If-Match` expects; changes with every write.")]
Command = Annotated[str, Meta(description="The command that opens it.")]
