-- Addresses nobody waits for are looked at now and then; what was read once more after its time is over is left.
alter table watches add column is_closed integer not null default 0 check (is_closed in (0, 1));
drop index watches_by_end;
create index watches_open on watches (network, watch_until) where is_closed = 0;

-- Whether all addresses were looked at there, or only those that somebody waits for.
alter table checkpoints add column is_wide integer not null default 1 check (is_wide in (0, 1));
