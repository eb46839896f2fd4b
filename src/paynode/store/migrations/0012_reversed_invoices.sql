-- What the chain took back is awaited again.
create index invoices_reversed on invoices (id) where status = 'reversed';
