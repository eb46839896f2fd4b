-- Invoices of three types, with or without a sum and a deadline. SQLite changes no column's constraints, so the table
-- is made anew; what refers to it waits until its rows are back.
pragma defer_foreign_keys = on;

create table invoices_before as select * from invoices;

drop table invoices;

create table invoices (
    id                  text    not null primary key,  -- inv_...; sorts by time
    store_id            text    not null references stores (id),
    type                text    not null check (type in ('one_time', 'reusable', 'pool')),
    status              text    not null check (status in ('open', 'confirming', 'paid', 'expired', 'cancelled', 'reversed')),
    payment_state       text    not null check (payment_state in ('none', 'partial', 'exact', 'over')),
    sweep_state         text    not null check (sweep_state in
                            ('not_applicable', 'unswept', 'scheduled', 'sweeping', 'partially_swept', 'swept', 'failed')),
    amount              text,                          -- decimal, in currency; null: the payer decides how much
    min_amount          text,                          -- decimal, in currency: the least that counts where the payer decides
    currency            text    not null,              -- upper case
    markup_percent      text    not null default '0',  -- added to the price where a rate converts it; may be negative
    display_currency    text,                          -- fiat that a price in a coin is shown in beside it
    display_rate        text,                          -- decimal: one whole coin in it, when the invoice was made
    under_percent       text    not null,              -- tolerance
    over_percent        text    not null,
    is_late_accepted    integer not null check (is_late_accepted in (0, 1)),      -- the store's late_payment when made
    is_late             integer not null default 0 check (is_late in (0, 1)),
    is_cancelled        integer not null default 0 check (is_cancelled in (0, 1)),
    cancelled_at        integer,
    is_deadline_passed  integer not null default 0 check (is_deadline_passed in (0, 1)),
    is_archived         integer not null default 0 check (is_archived in (0, 1)),  -- the merchant put it out of sight
    accepted            text,                          -- fraction "n/d": the worth the merchant declared enough
    announced           text    not null default '',   -- events told once, space separated
    name                text,
    description         text,
    order_id            text,
    is_order_id_unique  integer not null default 0 check (is_order_id_unique in (0, 1)),  -- no other such may have it
    customer            text,
    metadata            text    not null default '{}', -- JSON object of strings
    language            text,                          -- of the checkout page; null: the payer's own
    success_url         text,
    fail_url            text,
    quote_seconds       integer not null,              -- how long each quote holds
    monitor_seconds     integer not null,              -- watched this long past expires_at
    created_at          integer not null,
    updated_at          integer not null,
    expires_at          integer,                       -- null: never
    monitor_until       integer,                       -- null: for ever
    paid_at             integer,                       -- when it was first judged paid
    set_aside           text,                          -- why it can no longer be judged; a person must look
    check (type <> 'pool' or amount is not null),
    check (type <> 'reusable' or (amount is null and expires_at is null)),
    check (type = 'reusable' or expires_at is not null),
    check (min_amount is null or amount is null)
) strict;

insert into invoices (
    id, store_id, type, status, payment_state, sweep_state, amount, currency, under_percent, over_percent,
    is_late_accepted, is_late, is_cancelled, cancelled_at, is_deadline_passed, accepted, announced, name, description,
    order_id, customer, metadata, success_url, fail_url, quote_seconds, monitor_seconds, created_at, updated_at,
    expires_at, monitor_until, paid_at, set_aside
) select
    id, store_id, type, status, payment_state, sweep_state, amount, currency, under_percent, over_percent,
    is_late_accepted, is_late, is_cancelled, cancelled_at, is_deadline_passed, accepted, announced, name, description,
    order_id, customer, metadata, success_url, fail_url, quote_seconds, monitor_seconds, created_at, updated_at,
    expires_at, monitor_until, paid_at, set_aside
from invoices_before;

drop table invoices_before;

create index invoices_of_store on invoices (store_id, id);
create index invoices_of_status on invoices (store_id, status, id);
create index invoices_of_order on invoices (store_id, order_id, id) where order_id is not null;
create index invoices_unfinished on invoices (expires_at) where status in ('open', 'confirming') and is_deadline_passed = 0;
create index invoices_reversed on invoices (id) where status = 'reversed';
create unique index invoices_order_once on invoices (store_id, order_id) where is_order_id_unique = 1;

-- What one whole coin costs by the merchant's own word, in the invoice's currency; null: what the market says.
alter table invoice_methods add column own_rate text;
