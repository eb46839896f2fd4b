create index deposits_of_address on deposits (address collate nocase);  -- people write some addresses in any case
create index ledger_entries_of_store on ledger_entries (store_id);      -- and id, which ends every index
create index ledger_entries_by_age on ledger_entries (at);
