-- What each provider was asked on the last day that it was asked, so that a restart does not begin its budget anew.
create table provider_usage (
    network         text    not null,
    provider        text    not null,            -- its name; its URL may hold a key and is never stored
    day             text    not null,            -- YYYY-MM-DD, of UTC
    calls           integer not null,            -- as billed
    looks           integer not null,
    errors          integer not null,            -- calls without a usable answer
    lies            integer not null,            -- answers found to be wrong
    calls_saved     integer not null,            -- about so many more without a budget
    seconds_waited  integer not null,            -- for so long looks and calls were put off
    noted_at        integer not null,
    primary key (network, provider)
) strict, without rowid;
