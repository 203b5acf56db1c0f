-- What gateways share, one row for each window of a budget, rate and limit of
-- requests in flight. What stands in row is described in lease.go. ends is when a
-- budget's window ends; afterwards the row stays for a while, so that what is
-- settled late is still told.
CREATE TABLE leases (
	name    text PRIMARY KEY,
	kind    smallint NOT NULL,
	ends    timestamptz,
	row     jsonb NOT NULL,
	changed timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX leases_ends ON leases (ends) WHERE ends IS NOT NULL;
