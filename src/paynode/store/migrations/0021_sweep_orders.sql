-- What each network asked for a transfer when sweeps were last planned there.
create table sweep_prices (
    network       text    not null primary key,
    fee_price     text    not null,                  -- of one unit of work
    costs         text    not null,                  -- JSON: of one transfer in native units, by method
    gas           text    not null,                  -- JSON: what each store's gas station held, by store
    at            integer not null
) strict, without rowid;

-- An item may be called off before its transfer is signed. SQLite changes no constraint, so the table is made anew.
pragma defer_foreign_keys = on;

create table sweep_items_before as select * from sweep_items;

drop table sweep_items;

create table sweep_items (
    id            integer not null primary key,
    sweep_id      text    not null references sweeps (id),
    network       text    not null,
    address       text    not null,
    method        text    not null,
    units         text    not null,                  -- what its deposits add up to
    state         text    not null check (state in
                      ('queued', 'funding', 'broadcasting', 'confirming', 'completed', 'failed', 'cancelled')),
    reason        text,
    top_up_id     text    references outgoing (id),
    transfer_id   text    references outgoing (id),
    moved         text,                              -- what reached the treasury
    fee           text                               -- what it cost, native units
) strict;

insert into sweep_items select * from sweep_items_before;

drop table sweep_items_before;

create index sweep_items_of_sweep on sweep_items (sweep_id);
-- Two may be under way at once: a reorganisation brings an ended one back. Of those not signed yet there is one.
create unique index sweep_items_once on sweep_items (network, address, method) where state in ('queued', 'funding');
create index sweep_items_of_address on sweep_items (network, address, method);
create index sweep_items_open on sweep_items (network) where state not in ('completed', 'failed', 'cancelled');
create index sweep_items_of_transfer on sweep_items (transfer_id) where transfer_id is not null;
create index sweep_items_of_top_up on sweep_items (top_up_id) where top_up_id is not null;
