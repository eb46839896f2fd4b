-- Since when an address that is watched again was not looked at; null once it was.
alter table watches add column unseen_since integer;
