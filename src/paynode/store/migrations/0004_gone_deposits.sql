alter table deposits add column lost text not null default '0';       -- units gone without us
alter table deposits add column withdrawn text not null default '0';  -- units that the merchant took with a wallet
