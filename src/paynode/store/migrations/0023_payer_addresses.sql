-- Addresses that payers made us issue within the last day, for limits.
create table payer_addresses (
    invoice_id    text    not null references invoices (id),
    family        text    not null,
    store_id      text    not null references stores (id),
    client        text    not null,                  -- tells the same client from others, and not who it is
    at            integer not null,
    primary key (invoice_id, family)
) strict, without rowid;

create index payer_addresses_of_client on payer_addresses (client, at);
create index payer_addresses_of_store on payer_addresses (store_id, at);
create index payer_addresses_by_age on payer_addresses (at);
