-- What a member has in pg_temp is found before pg_catalog, for tables and types, unless it is named last: `text` would be a type of the
-- member's, whose checks run as the log's owner.
DO $$
DECLARE
  one oid;
BEGIN
  FOR one IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'vpnd'::regnamespace LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', one::regprocedure);
  END LOOP;
END
$$;
