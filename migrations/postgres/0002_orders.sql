-- An order is taken once, and stays for its answer.
ALTER TABLE inbox ADD COLUMN taken boolean NOT NULL DEFAULT false;
