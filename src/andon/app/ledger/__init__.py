"""The keeper of the ledger: signing, verifying, erasing, archiving, exporting."""
