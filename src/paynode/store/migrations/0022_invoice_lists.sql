-- Lists of invoices. Invoices that agree in everything a list can be filtered by are a group: there are few groups,
-- however many invoices there are. A list is the groups that fit, each in order, merged.
create table invoice_groups (
    id            integer not null primary key,
    store_id      text    not null references stores (id),
    type          text    not null,
    status        text    not null,
    payment_state text    not null,
    sweep_state   text    not null,
    screening     text    not null,
    is_late       integer not null,
    is_archived   integer not null,
    currency      text    not null,
    methods       text    not null,                  -- what it may be paid with: sorted, with a space around each
    count         integer not null default 0         -- how many invoices are in it
) strict;

create unique index invoice_groups_once on invoice_groups
    (store_id, status, payment_state, sweep_state, screening, is_late, is_archived, type, currency, methods);

insert into invoice_groups (store_id, type, status, payment_state, sweep_state, screening, is_late, is_archived, currency, methods)
    select distinct store_id, type, status, payment_state, sweep_state, screening, is_late, is_archived, currency, coalesce((
        select ' ' || group_concat(method, ' ' order by method) || ' ' from invoice_methods m where m.invoice_id = i.id
    ), ' ') from invoices i;

-- A primary key cannot be added to a table, so it is made anew; what refers to it waits until its rows are back.
pragma defer_foreign_keys = on;

create table invoices_before as select * from invoices;

drop table invoices;

create table invoices (
    serial              integer not null primary key,  -- the order of lists: created_at * 65536, and a count within it
    group_no            integer not null references invoice_groups (id),
    id                  text    not null unique,       -- inv_...; sorts by time
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
    screening           text    not null default 'not_screened' check (screening in ('passed', 'flagged', 'not_screened')),
    rest_seconds        integer,                       -- how long past its end its addresses rest; null: for ever
    -- Sorts as the amount does: how many digits it has before the point, then itself without idle zeros.
    amount_key          text    generated always as (case
        when amount is null then ''
        when instr(amount, '.') = 0 then printf('%03d', length(amount)) || amount
        else printf('%03d', instr(amount, '.') - 1) || rtrim(rtrim(amount, '0'), '.') end) virtual,
    check (type <> 'pool' or amount is not null),
    check (type <> 'reusable' or (amount is null and expires_at is null)),
    check (type = 'reusable' or expires_at is not null),
    check (min_amount is null or amount is null)
) strict;

insert into invoices (
    serial, group_no,
    id, store_id, type, status, payment_state, sweep_state, amount, min_amount, currency, markup_percent,
    display_currency, display_rate, under_percent, over_percent, is_late_accepted, is_late, is_cancelled, cancelled_at,
    is_deadline_passed, is_archived, accepted, announced, name, description, order_id, is_order_id_unique, customer,
    metadata, language, success_url, fail_url, quote_seconds, monitor_seconds, created_at, updated_at, expires_at,
    monitor_until, paid_at, set_aside, screening, rest_seconds
) select
    (created_at << 16) + row_number() over (partition by created_at order by id) - 1,
    (select g.id from invoice_groups g where g.store_id = b.store_id and g.status = b.status
        and g.payment_state = b.payment_state and g.sweep_state = b.sweep_state and g.screening = b.screening
        and g.is_late = b.is_late
        and g.is_archived = b.is_archived and g.type = b.type and g.currency = b.currency and g.methods = coalesce((
            select ' ' || group_concat(method, ' ' order by method) || ' ' from invoice_methods m
            where m.invoice_id = b.id), ' ')),
    id, store_id, type, status, payment_state, sweep_state, amount, min_amount, currency, markup_percent,
    display_currency, display_rate, under_percent, over_percent, is_late_accepted, is_late, is_cancelled, cancelled_at,
    is_deadline_passed, is_archived, accepted, announced, name, description, order_id, is_order_id_unique, customer,
    metadata, language, success_url, fail_url, quote_seconds, monitor_seconds, created_at, updated_at, expires_at,
    monitor_until, paid_at, set_aside, screening, rest_seconds
from invoices_before b;

drop table invoices_before;

update invoice_groups set count = (select count(*) from invoices where group_no = invoice_groups.id);

create index invoices_of_group on invoices (group_no);  -- and serial, which ends every index
create index invoices_by_amount on invoices (group_no, amount_key);
create index invoices_of_order on invoices (order_id) where order_id is not null;
create unique index invoices_order_once on invoices (store_id, order_id) where is_order_id_unique = 1;
create index invoices_unfinished on invoices (expires_at) where status in ('open', 'confirming') and is_deadline_passed = 0;
create index invoices_reversed on invoices (id) where status = 'reversed';

create trigger invoice_counted after insert on invoices begin
    update invoice_groups set count = count + 1 where id = new.group_no;
end;

create trigger invoice_regrouped
after update of status, payment_state, sweep_state, screening, is_late, is_archived, type, currency on invoices
when (old.status, old.payment_state, old.sweep_state, old.screening, old.is_late, old.is_archived, old.type, old.currency)
    is not (new.status, new.payment_state, new.sweep_state, new.screening, new.is_late, new.is_archived, new.type, new.currency)
begin
    insert into invoice_groups (store_id, type, status, payment_state, sweep_state, screening, is_late, is_archived, currency, methods)
        select new.store_id, new.type, new.status, new.payment_state, new.sweep_state, new.screening,
            new.is_late, new.is_archived,
            new.currency, g.methods from invoice_groups g where g.id = old.group_no
        on conflict do nothing;
    update invoices set group_no = (
        select g.id from invoice_groups g join invoice_groups o on o.id = old.group_no and g.methods = o.methods
        where g.store_id = new.store_id and g.status = new.status and g.payment_state = new.payment_state
            and g.sweep_state = new.sweep_state and g.screening = new.screening and g.is_late = new.is_late and g.is_archived = new.is_archived
            and g.type = new.type and g.currency = new.currency
    ) where serial = new.serial;
    update invoice_groups set count = count + 1 where id = (select group_no from invoices where serial = new.serial);
    update invoice_groups set count = count - 1 where id = old.group_no;
    delete from invoice_groups where id = old.group_no and count = 0;
end;

create trigger invoice_uncounted after delete on invoices begin
    update invoice_groups set count = count - 1 where id = old.group_no;
    delete from invoice_groups where id = old.group_no and count = 0;
end;

-- The words of an invoice, for free text, and the names of its metadata in a spelling that nobody looks for.
create virtual table invoice_words using fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = 'unicode61 remove_diacritics 2'
);

-- One row for each place of a word.
create virtual table invoice_word_places using fts5vocab (invoice_words, instance);

insert into invoice_words (rowid, words)
    select serial, concat_ws(' ', order_id, name, description, customer,
        (select group_concat('kx' || hex(key) || ' ' || value, ' ') from json_each(metadata))) from invoices;

create trigger invoice_worded after insert on invoices
when coalesce(new.order_id, new.name, new.description, new.customer) is not null or new.metadata <> '{}'
begin
    insert into invoice_words (rowid, words) values (new.serial, concat_ws(' ', new.order_id, new.name,
        new.description, new.customer,
        (select group_concat('kx' || hex(key) || ' ' || value, ' ') from json_each(new.metadata))));
end;

create trigger invoice_reworded after update of order_id, name, description, customer, metadata on invoices
when (old.order_id, old.name, old.description, old.customer, old.metadata)
    is not (new.order_id, new.name, new.description, new.customer, new.metadata)
begin
    delete from invoice_words where rowid = old.serial;
    insert into invoice_words (rowid, words) values (new.serial, concat_ws(' ', new.order_id, new.name,
        new.description, new.customer,
        (select group_concat('kx' || hex(key) || ' ' || value, ' ') from json_each(new.metadata))));
end;

create trigger invoice_unworded after delete on invoices begin
    delete from invoice_words where rowid = old.serial;
end;
