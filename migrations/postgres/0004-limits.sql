-- Packets that are too old to be delivered are counted; a log with a bound is cut into parts that are small enough for it.

-- Packets of a session for `me` between two that were read; they were too old for that.
CREATE FUNCTION vpnd.count_stale(me integer, of_sender integer, of_session bigint, behind bigint, before bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  IF (SELECT s.transit FROM vpnd.session s WHERE s.id = of_session) THEN
    RETURN (SELECT count(*) FROM vpnd.transit p
            WHERE p.sender = of_sender AND p.session = of_session AND p.receiver = me AND p.seq > behind AND p.seq < before
              AND p.kind <> 3);
  END IF;
  RETURN (SELECT count(*) FROM vpnd.packet p
          WHERE p.sender = of_sender AND p.session = of_session AND p.receiver = me AND p.seq > behind AND p.seq < before
            AND p.kind <> 3 AND p.at > now() - interval '1 hour');
END
$$;

-- How long the next parts are filled, where there is a bound: so that none takes more than a twelfth of it, and there are few of them.
CREATE FUNCTION vpnd.fit_period(me integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  rule vpnd.network;
  largest bigint;
BEGIN
  PERFORM vpnd.check_node(me);
  SELECT w.* INTO STRICT rule FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network WHERE n.id = me;
  IF rule.max_bytes IS NULL THEN RETURN; END IF;
  SELECT max(pg_total_relation_size(format('vpnd.%I', p.name)::regclass)) INTO largest
    FROM vpnd.part p JOIN vpnd.node n ON n.id = p.node
    WHERE n.network = rule.id AND p.until > now() - rule.period;
  UPDATE vpnd.network w SET period = CASE
      WHEN largest > rule.max_bytes / 12 THEN greatest(interval '1 minute', rule.period / 2)
      WHEN largest < rule.max_bytes / 50
        THEN greatest(rule.period, least(rule.period * 2, interval '1 hour', rule.retention / 12))
      ELSE rule.period
    END
    WHERE w.id = rule.id;
END
$$;

REVOKE ALL ON FUNCTION vpnd.count_stale(integer, integer, bigint, bigint, bigint), vpnd.fit_period(integer) FROM PUBLIC;
SELECT vpnd.admit(r.role) FROM (SELECT DISTINCT role FROM vpnd.node) r;
