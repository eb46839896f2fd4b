"""From when a deadline counts: our own clock, or a chain's where ours has fallen behind it (I26).

On time is judged by blocks. A clock that was set back must not make deadlines that the chains have already passed.
"""

from collections.abc import Iterable
from datetime import datetime

from paynode.store import chain
from paynode.store.database import Tx


def terms_begin(tx: Tx, networks: Iterable[str], now: datetime) -> datetime:
    """The moment from which a deadline or a price on these networks counts: now, or the newest block seen there."""
    seen = [cursor.at for name in sorted(set(networks)) if (cursor := chain.cursor(tx, name)) is not None]
    return max([now, *seen])
