-- An address may serve one invoice after another: who has it, and who had it, is a table of its own.
create table addresses_derived (
    address       text    not null,
    family        text    not null,
    account       integer not null,
    hd_index      integer not null,
    free_from     integer,                           -- from when to ask whether it may serve again; null: never
    primary key (family, address),
    unique (family, account, hd_index)
) strict, without rowid;

-- Whose it was in turn: the last one has it. Two cannot be given it at once, since both would take the same turn.
create table holdings (
    family        text    not null,
    address       text    not null,
    turn          integer not null,                  -- from 0, without a gap
    invoice_id    text    not null references invoices (id),
    issued_at     integer not null,                  -- our clock
    primary key (family, address, turn),
    unique (invoice_id, family)
) strict, without rowid;

-- Where each network was when an address was given to the next invoice.
create table holding_starts (
    family        text    not null,
    address       text    not null,
    turn          integer not null,
    network       text    not null,
    number        integer not null,                  -- the newest block that we knew
    at            integer not null,                  -- that block's time
    shown_at      integer not null,                  -- the chain's time then, or a little before
    primary key (family, address, turn, network),
    foreign key (family, address, turn) references holdings (family, address, turn)
) strict, without rowid;

insert into addresses_derived (address, family, account, hd_index)
    select address, family, account, hd_index from addresses;
insert into holdings (family, address, turn, invoice_id, issued_at)
    select family, address, 0, invoice_id, issued_at from addresses;
drop table addresses;
alter table addresses_derived rename to addresses;
create index addresses_resting on addresses (family, account, free_from) where free_from is not null;

alter table invoices add column rest_seconds integer;  -- how long past its end its addresses rest; null: for ever

alter table deposits add column address_invoice_id text references invoices (id);  -- whose address it came to
update deposits set address_invoice_id =
    (select w.invoice_id from watches w where w.network = deposits.network and w.address = deposits.address);
create index deposits_left on deposits (address) where stage <> 'orphaned' and sweep_state <> 'swept';
