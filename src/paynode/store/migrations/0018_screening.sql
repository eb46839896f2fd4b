-- What is known of a deposit's senders. 'pending': nobody was asked yet; 'released': a person let it go.
alter table deposits add column screening text not null default 'not_screened'
    check (screening in ('pending', 'passed', 'flagged', 'not_screened', 'released'));
-- Kept back by screening: it is not collected, and does not count if it was not settled before.
alter table deposits add column is_held integer not null default 0 check (is_held in (0, 1));
-- The worst of its deposits'; 'passed' if all have passed or were released.
alter table invoices add column screening text not null default 'not_screened'
    check (screening in ('passed', 'flagged', 'not_screened'));

-- What is kept back deepens no more, and may stay for ever; it is settled by whoever lets it go.
drop index deposits_unfinished;
create index deposits_unfinished on deposits (network) where stage in ('detected', 'confirming');
drop index deposits_unpriced;
create index deposits_unpriced on deposits (network)
    where stage in ('confirmed', 'settled') and worth is null and invoice_id is not null;
drop index deposits_unswept;
create index deposits_unswept on deposits (network, address, method)
    where stage in ('confirmed', 'settled') and sweep_state <> 'swept';

-- How a deposit came to be screened as it is. One that nobody was to be asked about has no row.
create table screenings (
    deposit_id    text    not null primary key references deposits (id),
    source        text    not null,                  -- who said so
    reason        text,                              -- for people; null: nothing speaks against its senders
    at            integer,                           -- null: nobody was asked yet
    ask_at        integer,                           -- when to ask; null: not any more
    failed_count  integer not null,                  -- how often in a row somebody gave no answer
    released_at   integer,
    note          text                               -- of whoever released it
) strict, without rowid;

create index screenings_due on screenings (ask_at) where ask_at is not null;

-- The files of addresses to keep back, as they were last read.
create table screening_lists (
    name          text    not null primary key,      -- as the config names it
    hash          blob    not null,                  -- SHA-256 of the file that is in use; '' if there was none yet
    address_count integer not null,                  -- in that file, of any chain
    as_of         integer,                           -- the file's own time; null: there was none yet
    problem       text                               -- why the newest file is not used, or not enough; null: it is
) strict, without rowid;

-- Their addresses, as the chains that we follow write them.
create table screening_addresses (
    address       text    not null,
    list          text    not null references screening_lists (name),
    primary key (address, list)
) strict, without rowid;

-- The ledger has one more account: deposits that are kept back.
create table ledger_entries_with_held (
    id            integer not null primary key,
    store_id      text    not null references stores (id),
    account       text    not null check (account in
                      ('customers', 'deposits', 'held', 'in_transit', 'treasury', 'gas', 'fees', 'reversed', 'owner')),
    method        text    not null,
    units         text    not null,
    cause         text    not null,                  -- the deposit, sweep item, row or outgoing transaction
    reason        text    not null,                  -- the name of the posting
    at            integer not null
) strict;
insert into ledger_entries_with_held select * from ledger_entries;
drop table ledger_entries;
alter table ledger_entries_with_held rename to ledger_entries;
create index ledger_entries_of_cause on ledger_entries (cause);
create index ledger_entries_of_store on ledger_entries (store_id);      -- and id, which ends every index
create index ledger_entries_by_age on ledger_entries (at);
