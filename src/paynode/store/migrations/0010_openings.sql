-- Where the books of an address begin that had a past: what it held then is in chain_rows.
create table openings (
    network       text    not null,
    address       text    not null,
    nonce         integer not null,                  -- how many transactions it had sent before
    primary key (network, address)
) strict, without rowid;
