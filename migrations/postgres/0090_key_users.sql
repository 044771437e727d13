-- readable_by: 0005
-- Who signed in to the console through OpenID Connect, for a key that was made for that session; NULL for every other key.
ALTER TABLE api_keys ADD COLUMN user_name text;
CREATE INDEX api_keys_by_user ON api_keys (user_name) WHERE user_name IS NOT NULL;
