-- Tokens that are not what the config says of them: no address is issued for these.
create table refused_methods (
    method   text    not null primary key,
    network  text    not null,
    reason   text    not null,             -- for people
    at       integer not null
) strict, without rowid;
