"""Ways to tell people what concerns them."""

from andon.adapters.notices.chat import Chat
from andon.adapters.notices.mail import Mail

__all__ = ["Chat", "Mail"]
