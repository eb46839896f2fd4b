-- What a store says about a payment method, where that is not what the config says.
create table method_settings (
    store_id         text    not null references stores (id),
    method           text    not null,
    is_offered       integer not null,                -- 0: its invoices offer it no more
    minimum          text,                            -- decimal; an invoice of less does not offer it; null: any
    minimum_currency text,                            -- of the minimum: ISO 4217, upper case
    primary key (store_id, method)
) strict, without rowid;

-- A number for each method that ever was in the config: what other systems keep as its id. Never given twice.
create table method_numbers (
    number integer not null primary key,
    method text    not null unique
) strict;
