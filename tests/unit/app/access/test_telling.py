"""What the ledger's lines say of access."""

from __future__ import annotations

from andon.app.ledger.telling import tell_event
from andon.ports.asking import Asked

from .conftest import HERE, House


async def test_every_event_of_access_is_told_in_a_sentence(house: House):
    house.asked = Asked(by="person:root", operation="users_add")
    await house.add_user("ann", "viewer@prod", "approver")
    await house.change_user("ann", disabled=False)
    await house.log_in()
    await house.door.log_out(await house.log_in())
    await house.door.denied("person:ann", "ship", "prod")
    await house.door.log_in_as_subject("https://id#1", name="bob", emails=[], groups=["ops"])
    await house.door.remove_user("ann", asked=house.asked)
    rows = await house.store.read(lambda tx: tx.events(after=0, stream="org", limit=100))
    told = {tell_event(row) for row in rows}
    assert told >= {
        "andon adds token admin",
        "root used users_add",
        "root adds user ann: viewer@prod, approver",
        "root changes user ann: disabled",
        f"ann logged in by password from {HERE}",
        "ann logged out",
        "ann was refused ship in prod",
        "bob joined team operators",
        "bob logged in by oidc",
        "root ends the access of user ann",
    }
