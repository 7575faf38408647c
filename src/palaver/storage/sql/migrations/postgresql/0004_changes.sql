-- A counter that grows with every change of builds and keys, so that a process that serves reads
-- one row to see that nothing changed. Whoever changes them, by whatever means, raises it.

CREATE TABLE change (
  is_one boolean NOT NULL DEFAULT true PRIMARY KEY CHECK (is_one),
  number bigint NOT NULL
);

INSERT INTO change (number) VALUES (0);

CREATE FUNCTION palaver_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO change (number) VALUES (1)
  ON CONFLICT (is_one) DO UPDATE SET number = change.number + 1;
  RETURN NULL;
END;
$$;

CREATE TRIGGER palaver_version_changed AFTER INSERT OR UPDATE OR DELETE ON version
  FOR EACH STATEMENT EXECUTE FUNCTION palaver_change();
CREATE TRIGGER palaver_credential_changed AFTER INSERT OR UPDATE OR DELETE ON credential
  FOR EACH STATEMENT EXECUTE FUNCTION palaver_change();
