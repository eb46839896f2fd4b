-- After a rotation the secret before it signs as well, until this moment.
alter table webhook_endpoints add column old_secret text;
alter table webhook_endpoints add column old_secret_expires_at integer;
