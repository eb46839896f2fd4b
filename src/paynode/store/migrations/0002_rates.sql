create table rate_currencies (
    currency  text    not null primary key,      -- one that prices were asked for in, upper case: it is kept fresh
    asked_at  integer not null                   -- when last, to within an hour
) strict, without rowid;

create table rate_refusals (
    base      text    not null,                  -- symbol, lower case
    quote     text    not null,                  -- currency, upper case
    at        integer not null,                  -- since when this is the reason
    reason    text    not null,                  -- why there was no price to believe when the sources were last heard
    primary key (base, quote)
) strict, without rowid;
