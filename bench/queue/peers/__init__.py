"""One file per queue library: how its tasks are enqueued and how its worker is run in this very process."""
