-- Where the events of one invoice go as well, beside the store's endpoints. Deliveries name it, so it outlives a
-- deleted invoice.
create table callbacks (
    invoice_id    text    not null primary key,
    store_id      text    not null references stores (id),
    url           text    not null,
    secret        text,                              -- of any kind; null: the store's signs
    echoes_secret integer not null check (echoes_secret in (0, 1)),  -- the body carries it, as one gateway's does
    retries       integer check (retries between 0 and 20),          -- one a minute, until 200; null: as endpoints
    gone_at       integer                            -- its receiver answered 410: it gets nothing more
) strict, without rowid;

-- What signs the callbacks of invoices that brought no secret of their own.
create table callback_secrets (
    store_id      text    not null primary key references stores (id),
    secret        text    not null,                  -- whsec_...
    old_secret    text,
    old_secret_expires_at integer
) strict, without rowid;

alter table webhook_endpoints add column signature_format text not null default 'standard'
    check (signature_format in ('standard', 'hex'));

-- The outbox: one event owed to one receiver, which is an endpoint or an invoice's callback. The table is made anew;
-- what refers to it waits until its rows are back.
pragma defer_foreign_keys = on;

create table deliveries_before as select * from deliveries order by rowid;

drop table deliveries;

create table deliveries (
    id            text    not null primary key,      -- dlv_...
    store_id      text    not null references stores (id),
    endpoint_id   text    references webhook_endpoints (id),
    callback_of   text    references callbacks (invoice_id),
    lane          text    not null,                  -- deliveries of one lane share its places
    event_id      text    not null references events (id),
    state         text    not null check (state in ('due', 'delivered', 'abandoned')),
    attempt_count integer not null default 0,
    next_attempt_at integer,                         -- null unless due
    created_at    integer not null,
    check ((endpoint_id is null) <> (callback_of is null))
) strict;

insert into deliveries (id, store_id, endpoint_id, lane, event_id, state, attempt_count, next_attempt_at, created_at)
    select id, store_id, endpoint_id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at
    from deliveries_before order by rowid;

drop table deliveries_before;

create index deliveries_due on deliveries (lane, next_attempt_at, event_id) where state = 'due';
create index deliveries_of_store on deliveries (store_id, id);
create index deliveries_of_event on deliveries (event_id);
create index deliveries_of_endpoint on deliveries (endpoint_id, event_id) where endpoint_id is not null;
