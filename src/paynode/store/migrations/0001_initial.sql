-- The node's one file. Amounts are base units as text (they outgrow 64 bits) and are added in Python, never by SQL.
-- Moments are UTC milliseconds. Statuses are text with a check. A unique constraint is what makes "twice is once" true.

create table node (
    id            integer not null primary key check (id = 1),
    mode          text    not null check (mode in ('live', 'test', 'sim')),  -- fixed when the database is made
    created_at    integer not null
) strict;

-- A shop. Stores are made in the config; the row keeps the id that the config's name got.
create table stores (
    id            text    not null primary key,      -- sto_...
    name          text    not null unique,           -- the key in the config's [stores.*]
    account       integer not null,                  -- branch of the key tree
    created_at    integer not null
) strict;

-- One branch of the key tree in one chain family: enough to derive addresses, never enough to spend.
create table accounts (
    family        text    not null,
    account       integer not null,
    xpub          text    not null,                  -- account-level extended public key; '' for the sim family
    gas_address   text    not null,                  -- of the gas station; '' without keys
    next_index    integer not null default 0,        -- the next deposit address
    primary key (family, account)
) strict;

create table api_keys (
    id            text    not null primary key,      -- key_...
    store_id      text    references stores (id),    -- null: the node's owner
    name          text    not null,
    secret_hash   blob    not null,                  -- SHA-256 of the secret part; the secret itself is shown once
    scopes        text    not null,                  -- space separated
    created_at    integer not null,
    expires_at    integer,
    revoked_at    integer,
    last_used_at  integer
) strict;

-- Answers kept so that a repeated request gets the first one again (I20).
create table idempotency (
    owner         text    not null,                  -- api key's store, or 'node'
    key           text    not null,
    request_hash  blob    not null,                  -- of method, path and body
    status        integer not null,
    body          blob    not null,
    created_at    integer not null,
    primary key (owner, key)
) strict, without rowid;

create index idempotency_age on idempotency (created_at);

create table rates (
    base          text    not null,                  -- symbol, lower case
    quote         text    not null,                  -- currency, upper case
    at            integer not null,
    value         text    not null,                  -- decimal: one whole base in quote
    source        text    not null,
    primary key (base, quote, at)
) strict, without rowid;

create table invoices (
    id                  text    not null primary key,  -- inv_...; sorts by time
    store_id            text    not null references stores (id),
    type                text    not null check (type in ('one_time')),
    status              text    not null check (status in ('open', 'confirming', 'paid', 'expired', 'cancelled', 'reversed')),
    payment_state       text    not null check (payment_state in ('none', 'partial', 'exact', 'over')),
    sweep_state         text    not null check (sweep_state in
                            ('not_applicable', 'unswept', 'scheduled', 'sweeping', 'partially_swept', 'swept', 'failed')),
    amount              text    not null,              -- decimal, in currency
    currency            text    not null,              -- upper case
    under_percent       text    not null,              -- tolerance
    over_percent        text    not null,
    is_late_accepted    integer not null check (is_late_accepted in (0, 1)),      -- the store's late_payment when made
    is_late             integer not null default 0 check (is_late in (0, 1)),
    is_cancelled        integer not null default 0 check (is_cancelled in (0, 1)),
    cancelled_at        integer,
    is_deadline_passed  integer not null default 0 check (is_deadline_passed in (0, 1)),
    accepted            text,                          -- fraction "n/d": the worth the merchant declared enough
    announced           text    not null default '',   -- events told once, space separated
    name                text,
    description         text,
    order_id            text,
    customer            text,
    metadata            text    not null default '{}', -- JSON object of strings
    success_url         text,
    fail_url            text,
    quote_seconds       integer not null,              -- how long each quote holds
    monitor_seconds     integer not null,              -- watched this long past expires_at
    created_at          integer not null,
    updated_at          integer not null,
    expires_at          integer not null,
    monitor_until       integer not null,
    paid_at             integer,                       -- when it was first judged paid
    set_aside           text                           -- why it can no longer be judged; a person must look
) strict;

create index invoices_of_store on invoices (store_id, id);
create index invoices_of_status on invoices (store_id, status, id);
create index invoices_of_order on invoices (store_id, order_id, id) where order_id is not null;
create index invoices_unfinished on invoices (expires_at) where status in ('open', 'confirming') and is_deadline_passed = 0;

-- What an invoice may be paid with.
create table invoice_methods (
    invoice_id    text    not null references invoices (id),
    position      integer not null,
    method        text    not null,                  -- {network}_{symbol}
    network       text    not null,
    confirmations integer not null,
    provisioned_at integer,                          -- when the payer got to see an address; null: not yet
    primary key (invoice_id, method)
) strict, without rowid;

-- Locked prices. Never edited; a renewed price is a new row.
create table quotes (
    id            integer not null primary key,
    invoice_id    text    not null references invoices (id),
    method        text    not null,
    units         text    not null,
    rate          text    not null,                  -- decimal: one whole coin in the invoice's currency
    locked_at     integer not null,
    valid_until   integer not null
) strict;

create index quotes_of_invoice on quotes (invoice_id, method, locked_at);

-- One address of an invoice in one chain family; the same on every network of it.
create table addresses (
    address       text    not null,
    family        text    not null,
    account       integer not null,
    hd_index      integer not null,
    invoice_id    text    not null references invoices (id),
    issued_at     integer not null,
    primary key (family, address),
    unique (family, account, hd_index),
    unique (invoice_id, family)
) strict, without rowid;

-- One address watched on one network.
create table watches (
    network       text    not null,
    address       text    not null,
    store_id      text    not null references stores (id),
    invoice_id    text    references invoices (id),   -- null: a gas account
    depth         integer not null,                   -- confirmations its rows need
    floor         integer not null,                   -- no search starts above this height
    watch_until   integer,                            -- null: for ever
    primary key (network, address)
) strict, without rowid;

create index watches_of_invoice on watches (invoice_id);
create index watches_by_end on watches (network, watch_until);

-- Where one pair's floor differs from its watch's.
create table floors (
    network       text    not null,
    address       text    not null,
    method        text    not null,
    floor         integer not null,
    primary key (network, address, method)
) strict, without rowid;

-- Pairs whose balance nothing explains yet.
create table disputes (
    network       text    not null,
    address       text    not null,
    method        text    not null,
    since_number  integer not null,
    since_hash    text    not null,
    since_at      integer not null,
    expected      text    not null,
    observed      text,                               -- null: the contract would not say
    reason        text    not null,
    primary key (network, address, method)
) strict, without rowid;

create table networks (
    network         text    not null primary key,
    state           text    not null default 'ok' check (state in ('ok', 'degraded', 'stopped')),
    reason          text,                             -- why it is not ok, for people
    head_number     integer,
    head_hash       text,
    head_at         integer,
    looked_at       integer,                          -- our clock at the last complete tick
    hold            text                              -- why its view is doubtful; null: it is not
) strict;

-- Blocks at which the books were right; the newest is the cursor.
create table checkpoints (
    network       text    not null,
    number        integer not null,
    hash          text    not null,
    at            integer not null,
    primary key (network, number)
) strict, without rowid;

-- The movements of our pairs. Only credit, confirmed_at and voided_at ever change.
create table chain_rows (
    id            integer not null primary key,
    network       text    not null,
    kind          text    not null check (kind in ('in', 'out', 'adjustment')),
    source        text    not null check (source in ('log', 'tx', 'internal', 'unplaced', 'receipt', 'drift')),
    address       text    not null,
    method        text    not null,
    units         text    not null,
    credit        text,                               -- less than units where less arrived
    block_number  integer not null,
    block_hash    text    not null,
    block_at      integer not null,
    earliest_at   integer,                            -- of an unplaced row
    tx_hash       text    not null,                   -- '' if unknown
    log_index     integer not null,                   -- -1 if none
    sender        text    not null,
    tx_sender     text    not null,
    tx_nonce      integer,
    own           integer not null check (own in (0, 1)),
    detected_at   integer not null,                   -- our clock
    confirmed_at  integer,
    voided_at     integer
) strict;

create unique index chain_rows_once on chain_rows (network, kind, address, method, block_hash, tx_hash, log_index)
    where voided_at is null;
create index chain_rows_of_address on chain_rows (network, address) where voided_at is null;
create index chain_rows_by_block on chain_rows (network, block_number) where voided_at is null;
create index chain_rows_of_tx on chain_rows (network, tx_hash, address, method);

-- A transfer to one of our addresses, as merchants see it.
create table deposits (
    id            text    not null primary key,      -- dep_...
    row_id        integer not null unique references chain_rows (id),
    store_id      text    not null references stores (id),
    invoice_id    text    references invoices (id),  -- null: unattributed
    network       text    not null,
    address       text    not null,
    method        text    not null,
    units         text    not null,                  -- what is credited
    stage         text    not null check (stage in ('detected', 'confirming', 'confirmed', 'settled', 'orphaned')),
    worth         text,                              -- fraction "n/d" in the invoice's currency; null: no rate was known
    seen_at       integer not null,                  -- the chain's time that judges lateness
    is_late       integer not null check (is_late in (0, 1)),
    replaces      text    references deposits (id),  -- the orphaned deposit of the same transaction
    sweep_state   text    not null default 'unswept' check (sweep_state in ('unswept', 'scheduled', 'sweeping', 'swept', 'failed')),
    sweep_wait    text,                              -- why it is not collected now
    detected_at   integer not null,
    confirmed_at  integer
) strict;

create index deposits_of_invoice on deposits (invoice_id, id);
create index deposits_of_store on deposits (store_id, id);
create index deposits_replacing on deposits (replaces) where replaces is not null;
create index deposits_unfinished on deposits (network) where stage in ('detected', 'confirming', 'confirmed');
create index deposits_unpriced on deposits (network)
    where stage = 'settled' and worth is null and invoice_id is not null;
create index deposits_unswept on deposits (network, address, method) where stage = 'settled' and sweep_state <> 'swept';

-- One movement of ours from one address, whatever number of versions were signed for its nonce.
create table outgoing (
    id            text    not null primary key,      -- txn_...
    network       text    not null,
    store_id      text    not null references stores (id),
    purpose       text    not null check (purpose in ('top_up', 'sweep')),
    state         text    not null check (state in ('planned', 'signed', 'broadcast', 'confirmed', 'reverted', 'replaced', 'failed')),
    sender        text    not null,
    key_path      text    not null,                  -- derivation path of the key that signs
    recipient     text    not null,
    method        text    not null,
    units         text    not null,                  -- planned
    empties_sender integer not null check (empties_sender in (0, 1)),
    nonce         integer,                           -- null: planned
    receipt_hash  text,                              -- the version that was mined, while its block is canonical
    receipt_block integer,
    receipt_block_hash text,
    receipt_succeeded integer,
    receipt_fee   text,
    reason        text,                              -- why it failed
    created_at    integer not null,
    updated_at    integer not null
) strict;

create unique index outgoing_nonce on outgoing (network, sender, nonce) where nonce is not null;
create index outgoing_by_age on outgoing (network, created_at);
create index outgoing_open on outgoing (network) where state in ('planned', 'signed', 'broadcast');

-- The signed bytes of an outgoing transaction, one row a fee.
create table outgoing_versions (
    outgoing_id   text    not null references outgoing (id),
    version       integer not null,
    tx_hash       text    not null unique,
    raw           blob    not null,
    body          text    not null,                  -- the unsigned transaction, for the next fee bump
    value_units   text    not null,
    fee_limit     text    not null,
    signed_at     integer not null,
    sent_at       integer,                           -- when a provider last took it
    primary key (outgoing_id, version)
) strict, without rowid;

create table sweeps (
    id            text    not null primary key,      -- swp_...
    store_id      text    not null references stores (id),
    network       text    not null,
    method        text    not null,
    treasury      text    not null,
    state         text    not null check (state in ('queued', 'funding', 'broadcasting', 'confirming', 'completed',
                            'partially_completed', 'failed', 'cancelled')),
    created_at    integer not null,
    completed_at  integer
) strict;

create index sweeps_of_store on sweeps (store_id, id);
create index sweeps_by_age on sweeps (network, created_at);
create index sweeps_of_method on sweeps (network, store_id, method, created_at);

-- One address of a sweep.
create table sweep_items (
    id            integer not null primary key,
    sweep_id      text    not null references sweeps (id),
    network       text    not null,
    address       text    not null,
    method        text    not null,
    units         text    not null,                  -- what its deposits add up to
    state         text    not null check (state in ('queued', 'funding', 'broadcasting', 'confirming', 'completed', 'failed')),
    reason        text,
    top_up_id     text    references outgoing (id),
    transfer_id   text    references outgoing (id),
    moved         text,                              -- what reached the treasury
    fee           text                               -- what it cost, native units
) strict;

create index sweep_items_of_sweep on sweep_items (sweep_id);
-- Two may be under way at once: a reorganisation brings an ended one back. Of those not signed yet there is one.
create unique index sweep_items_once on sweep_items (network, address, method) where state in ('queued', 'funding');
create index sweep_items_of_address on sweep_items (network, address, method);
create index sweep_items_open on sweep_items (network) where state not in ('completed', 'failed');
create index sweep_items_of_transfer on sweep_items (transfer_id) where transfer_id is not null;
create index sweep_items_of_top_up on sweep_items (top_up_id) where top_up_id is not null;

create table sweep_deposits (
    item_id       integer not null references sweep_items (id),
    deposit_id    text    not null references deposits (id),
    primary key (deposit_id, item_id)
) strict, without rowid;

create index sweep_deposits_of_item on sweep_deposits (item_id);

-- The treasury that sweeps may pay, as announced. A change in the config waits here for its delay.
create table treasuries (
    network       text    not null,
    store_id      text    not null references stores (id),
    address       text    not null,
    effective_at  integer not null,
    primary key (network, store_id)
) strict, without rowid;

create table outflow_pauses (
    id            integer not null primary key,
    network       text    not null,
    method        text    not null default '',       -- '': every asset of the network
    reason        text    not null,
    paused_at     integer not null,
    resumed_at    integer
) strict;

create unique index outflow_pauses_open on outflow_pauses (network, method, reason) where resumed_at is null;

-- The ledger. Entries are never changed or deleted; a posting sums to zero in every asset.
create table ledger_entries (
    id            integer not null primary key,
    store_id      text    not null references stores (id),
    account       text    not null check (account in
                      ('customers', 'deposits', 'in_transit', 'treasury', 'gas', 'fees', 'reversed', 'owner')),
    method        text    not null,
    units         text    not null,
    cause         text    not null,                  -- the deposit, sweep item, row or outgoing transaction
    reason        text    not null,                  -- the name of the posting
    at            integer not null
) strict;

create index ledger_entries_of_cause on ledger_entries (cause);

create table ledger_balances (
    store_id      text    not null references stores (id),
    account       text    not null,
    method        text    not null,
    units         text    not null,
    primary key (store_id, account, method)
) strict, without rowid;

create table events (
    id            text    not null primary key,      -- evt_...
    store_id      text    references stores (id),    -- null: concerns the node
    type          text    not null,
    subject       text    not null,                  -- the invoice, sweep, ... it is about
    sequence      integer not null,                  -- per subject, from 1, without a gap
    payload       blob    not null,                  -- the body that webhooks carry
    created_at    integer not null,
    unique (subject, sequence)
) strict;

create index events_of_store on events (store_id, id);

create table webhook_endpoints (
    id            text    not null primary key,      -- whe_...
    store_id      text    not null references stores (id),
    url           text    not null,
    events        text    not null,                  -- space separated patterns; '*' for all
    secret        text    not null,                  -- whsec_...: signing needs it in clear
    state         text    not null check (state in ('enabled', 'disabled')),
    reason        text,                              -- why it is disabled
    created_at    integer not null,
    deleted_at    integer
) strict;

create index webhook_endpoints_of_store on webhook_endpoints (store_id) where deleted_at is null;

-- The outbox: one event owed to one endpoint.
create table deliveries (
    id            text    not null primary key,      -- dlv_...
    store_id      text    not null references stores (id),
    endpoint_id   text    not null references webhook_endpoints (id),
    event_id      text    not null references events (id),
    state         text    not null check (state in ('due', 'delivered', 'abandoned')),
    attempt_count integer not null default 0,
    next_attempt_at integer,                         -- null unless due
    created_at    integer not null
) strict;

create index deliveries_due on deliveries (endpoint_id, next_attempt_at) where state = 'due';
create index deliveries_of_store on deliveries (store_id, id);
create index deliveries_of_event on deliveries (event_id);

create table delivery_attempts (
    delivery_id   text    not null references deliveries (id),
    number        integer not null,
    at            integer not null,
    status        integer,                           -- HTTP; null: no answer
    duration_ms   integer not null,
    error         text,
    response_excerpt text,
    primary key (delivery_id, number)
) strict, without rowid;
