-- Whether all that an item moved is given to deposits that stand, and nothing of that has changed since: such an item is
-- not looked at again. What changes any of it says so here, whoever changes it.
alter table sweep_items add column is_shared_out integer not null default 0 check (is_shared_out in (0, 1));

create index sweep_items_unshared on sweep_items (network, address, method) where state = 'completed' and is_shared_out = 0;

create trigger share_added after insert on sweep_deposits begin
    update sweep_items set is_shared_out = 0
        where is_shared_out = 1 and id in (select item_id from sweep_deposits where deposit_id = new.deposit_id);
end;

create trigger share_changed after update on sweep_deposits begin
    update sweep_items set is_shared_out = 0
        where is_shared_out = 1 and id in (select item_id from sweep_deposits where deposit_id = new.deposit_id);
end;

create trigger share_removed after delete on sweep_deposits begin
    update sweep_items set is_shared_out = 0
        where is_shared_out = 1
            and id in (select old.item_id union all select item_id from sweep_deposits where deposit_id = old.deposit_id);
end;

create trigger shared_deposit_changed after update of units, lost, withdrawn, stage on deposits
when (old.units, old.lost, old.withdrawn, old.stage = 'orphaned')
    is not (new.units, new.lost, new.withdrawn, new.stage = 'orphaned')
begin
    update sweep_items set is_shared_out = 0
        where is_shared_out = 1 and id in (select item_id from sweep_deposits where deposit_id = new.id);
end;

create trigger item_changed after update of units, moved, state, transfer_id on sweep_items
when (old.units, old.moved, old.state = 'completed', old.transfer_id)
    is not (new.units, new.moved, new.state = 'completed', new.transfer_id)
begin
    update sweep_items set is_shared_out = 0
        where is_shared_out = 1 and id in (
            select theirs.item_id from sweep_deposits mine join sweep_deposits theirs on theirs.deposit_id = mine.deposit_id
            where mine.item_id = new.id);
end;

-- What left an address.
create index chain_rows_out on chain_rows (network, address, method) where kind <> 'in' and voided_at is null;

-- Deposits of which something is gone without us, or that brought nothing.
create index deposits_gone on deposits (network, address, method) where lost <> '0' or withdrawn <> '0' or units = '0';
