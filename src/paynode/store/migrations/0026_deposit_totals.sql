-- Whether a deposit is less than its reusable invoice takes: it is kept and shown, and counts for nothing.
alter table deposits add column is_too_small integer not null default 0 check (is_too_small in (0, 1));

update deposits set is_too_small = 1 where exists (
    select 1 from invoices i where i.id = deposits.invoice_id and i.type = 'reusable' and is_less_exactly(deposits.worth, i.min_amount));

-- The deposits of an invoice by all that it is judged by: how many are of one kind, and what they are worth together.
-- Kept with every change of a deposit, and held against the deposits by every audit.
create table deposit_totals (
    invoice_id    text    not null references invoices (id),
    stage         text    not null,
    is_late       integer not null,
    is_held       integer not null,
    is_too_small  integer not null,
    screening     text    not null,
    sweep_state   text    not null,
    denominator   text    not null,                  -- of the worth of each; '0': it is not known yet
    count         integer not null check (count > 0),
    numerator     text    not null,                  -- of the worth of all together
    primary key (invoice_id, stage, is_late, is_held, is_too_small, screening, sweep_state, denominator)
) strict, without rowid;

insert into deposit_totals
    select invoice_id, stage, is_late, is_held, is_too_small, screening, sweep_state,
        coalesce(substr(worth, instr(worth, '/') + 1), '0') as denominator,
        count(*), sum_exactly(substr(worth, 1, instr(worth, '/') - 1))
    from deposits where invoice_id is not null
    group by invoice_id, stage, is_late, is_held, is_too_small, screening, sweep_state, denominator;
