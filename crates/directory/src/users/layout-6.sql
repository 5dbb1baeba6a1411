-- Layout 6: what an app password is good for, in lines of a word and a value; empty for anything. In the row of the password: where that is
-- lost, so is this.
ALTER TABLE app_passwords ADD COLUMN scope TEXT NOT NULL DEFAULT '';
