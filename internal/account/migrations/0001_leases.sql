-- What gateways share of a budget in one window: account.Row as JSON, by level,
-- name, period and window.
CREATE TABLE account_leases (
	key     text COLLATE "C" PRIMARY KEY,
	shares  jsonb NOT NULL,
	touched timestamptz NOT NULL DEFAULT now()
);

-- When each gateway was last heard of.
CREATE TABLE account_gateways (
	name text PRIMARY KEY,
	seen timestamptz NOT NULL
);
