alter table sweep_deposits add column units text not null default '0';  -- how much of the deposit the item takes

update sweep_deposits set units = (select d.units from deposits d where d.id = deposit_id);
