alter table networks add column agreed_until integer;  -- the chain's time up to which deadlines are judged
