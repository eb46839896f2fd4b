-- When code was first seen at an address of ours. We give none to any: somebody else holds its key.
alter table watches add column coded_at integer;
