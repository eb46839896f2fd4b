-- Addresses that somebody asked us to look at once more; gone once a tick did.
create table checks (
    network       text    not null,
    address       text    not null,
    is_deep       integer not null check (is_deep in (0, 1)),  -- read all logs down to the floor, not the balance alone
    primary key (network, address)
) strict, without rowid;

-- A transaction that somebody says paid an invoice.
create table claims (
    id            text    not null primary key,      -- clm_...
    invoice_id    text    not null references invoices (id),
    tx_hash       text    not null,
    created_at    integer not null,
    unique (invoice_id, tx_hash)
) strict;

-- What one network says to a claim.
create table claim_networks (
    claim_id      text    not null references claims (id),
    network       text    not null,
    address       text    not null,                  -- of the invoice, on this network
    asked_at      integer not null,                  -- when somebody claimed it last
    answer        text    check (answer in ('booked', 'included', 'unknown', 'failed', 'elsewhere', 'unsettled')),
    next_at       integer,                           -- when to ask the network again; null: not any more
    primary key (claim_id, network)
) strict, without rowid;

create index claim_networks_open on claim_networks (network, next_at) where next_at is not null;

-- Requests of the last hour, for limits.
create table rescue_requests (
    invoice_id    text    not null references invoices (id),
    kind          text    not null check (kind in ('check', 'claim')),
    asker         text    not null check (asker in ('merchant', 'payer')),
    at            integer not null
) strict;

create index rescue_requests_of_invoice on rescue_requests (invoice_id, at);
