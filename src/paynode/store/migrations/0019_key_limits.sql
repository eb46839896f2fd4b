-- Where an API key may be used from, and which key came after it.
alter table api_keys add column allowed_ips text not null default '';  -- addresses and ranges (CIDR), space separated; '': anywhere
alter table api_keys add column replaced_by text references api_keys (id);  -- after a rotation: the key to use instead
